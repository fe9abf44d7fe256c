"""Watch streams of outcomes by river's ADWIN; called with the arrays' file and the answer's."""

import json
import sys
from pathlib import Path

import numpy as np
from river.drift import ADWIN


def first_alarm(stream: np.ndarray, start: int) -> int | None:
    """Return how many outcomes after ``start`` ADWIN first alarms, None where it does not."""
    watch = ADWIN()
    for place, outcome in enumerate(stream):
        watch.update(float(outcome))
        if watch.drift_detected and place >= start:
            return place - start + 1
    return None


def alarms(stream: np.ndarray) -> int:
    """Return how often ADWIN alarms."""
    watch, count = ADWIN(), 0
    for outcome in stream:
        watch.update(float(outcome))
        count += watch.drift_detected
    return count


with np.load(sys.argv[1]) as given:
    answer = {
        "delays": [first_alarm(stream, int(given["start"])) for stream in given["changed"]],
        "false": [alarms(stream) for stream in given["quiet"]],
    }
Path(sys.argv[2]).write_text(json.dumps(answer))
