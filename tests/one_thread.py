"""Loaded before anything else: linear algebra in one thread.

The matrices of tests are small. Where two cores are shared, threads of BLAS that wait for each other make a product
dearer, not cheaper: learning of a bandit took nine times as long.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
