"""A registered model as MLflow loads it: the same Scorer as everywhere else, over the files of the model version.

Models-from-code: this file is what MLflow keeps, together with a copy of our ``models`` and ``domain`` packages, so
that a data scientist gets exactly the numbers of production from ``mlflow.pyfunc.load_model``.
"""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext


class RegisteredModel(PythonModel):  # type: ignore[misc] # MLflow is untyped
    """Scores rows of the model's features."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the version's files."""
        module = importlib.import_module(context.model_config["scorer"])
        files = {name: Path(path).read_bytes() for name, path in context.artifacts.items()}
        self._scorer = module.Scorer.from_files(files)

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None) -> Any:  # noqa: ARG002
        """Return one number per row."""
        matrix = model_input[list(self._scorer.features)].to_numpy(dtype=np.float32)
        return self._scorer.score(matrix)


set_model(RegisteredModel())
