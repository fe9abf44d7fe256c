"""Plots are small PNG images, drawn without a display."""

import numpy as np
import pytest

from models.calibration import sigmoid
from models.engagement.plots import calibration_png, gain_png


@pytest.mark.parametrize("plot", [calibration_png, gain_png])
@pytest.mark.parametrize("n", [30, 20_000])
def test_a_plot_is_a_png_small_enough_for_an_event_log(plot, n):
    rng = np.random.default_rng(1)
    p = sigmoid(rng.normal(-2, 1, n))
    image = plot((rng.random(n) < p).astype(np.int8), p)
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    assert 5_000 < len(image) < 100_000
