"""Explain an XGBoost model by shap's TreeExplainer; called with the arrays' file and the answer's."""

import json
import sys
from pathlib import Path

import numpy as np
import shap
import xgboost

with np.load(sys.argv[1]) as given:
    booster = xgboost.Booster(model_file=bytearray(given["model"].tobytes()))
    values = shap.TreeExplainer(booster).shap_values(given["matrix"])
Path(sys.argv[2]).write_text(json.dumps({"values": np.asarray(values, dtype=float).tolist()}))
