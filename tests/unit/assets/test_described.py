"""What an asset page shows: the days of a run, pictures that fit, digests that tell data apart."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from adapters.lake import NoSuchTable, Quarantined, Written
from assets import described, refusals
from assets.steps import pictures
from assets.training import FitConfig

MONDAY, TUESDAY = date(2025, 1, 6), date(2025, 1, 7)


@pytest.mark.parametrize(
    ("tags", "days"),
    [
        ({}, []),
        ({"dagster/partition": "2025-01-06"}, [MONDAY]),
        (
            {
                "dagster/asset_partition_range_start": "2025-01-06",
                "dagster/asset_partition_range_end": "2025-01-07",
            },
            [MONDAY, TUESDAY],
        ),
    ],
)
def test_a_run_is_about_the_days_its_tags_name(tags, days):
    assert described.days_of(tags) == days


def test_a_version_changes_with_any_day():
    one, other = Written(1, "a", Path()), Written(1, "b", Path())
    assert described.version({MONDAY: one, TUESDAY: one}) == described.version({TUESDAY: one, MONDAY: one})
    assert described.version({MONDAY: one, TUESDAY: one}) != described.version({MONDAY: one, TUESDAY: other})


def test_a_picture_is_small_and_one_that_is_not_is_refused():
    drawn = pictures.bars({f"{days} d": days * 900.0 for days in (1, 7, 30, 90)}, title="Active", unit="recipients")
    assert drawn.startswith(b"\x89PNG")
    assert "base64" in described.picture(drawn, alt="active").value
    with pytest.raises(ValueError, match="at most 100000"):
        described.picture(b"x" * 100_001, alt="large")


@pytest.mark.parametrize("error", [Quarantined("mend it"), NoSuchTable("mend it"), refusals.Refusal("mend it")])
def test_a_refusal_is_one_sentence_and_is_not_tried_again(error):
    with pytest.raises(dg.Failure, match="mend it") as caught, refusals.final():
        raise error
    assert caught.value.allow_retries is False


def test_another_failure_passes_and_may_be_tried_again():
    with pytest.raises(ConnectionError), refusals.final():
        raise ConnectionError("away")


@pytest.mark.parametrize("cut", ["2017-10-01", "2017-10-01T00:00:00", "soon", "1506830400"])
def test_a_cut_without_an_offset_is_refused_with_an_example(cut):
    with pytest.raises(dg.Failure, match="such as 2017-10-01T00:00:00-04:00"):
        FitConfig(cut=cut).moment()


def test_a_cut_keeps_its_moment():
    moment = FitConfig(cut="2017-10-01T00:00:00-04:00").moment()
    assert moment is not None
    assert moment.timestamp() == 1506830400
    assert FitConfig().moment() is None
