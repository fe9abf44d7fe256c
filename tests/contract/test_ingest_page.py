"""docs/ingest.md says what the code does: every code and verdict is there, and its mapping is a real one."""

import re
from pathlib import Path

import pytest

from adapters import mapping_file
from domain.event_mapping import EventMapping, FromColumn
from domain.ingest import RejectionCode, Verdict, read

PAGE = (Path(__file__).parents[2] / "docs/ingest.md").read_text()


@pytest.mark.parametrize("listed", [RejectionCode, Verdict])
def test_every_code_is_explained_and_every_explained_one_exists(listed):
    prefix = "event." if listed is RejectionCode else ""
    told = set(re.findall(rf"^\| `({re.escape(prefix)}[a-z_]+)` \|", PAGE, re.MULTILINE))
    assert {each.value for each in listed} <= told
    assert not prefix or told == {each.value for each in listed}


def test_every_key_of_a_field_is_explained():
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`([a-z]+)`", row.split("|")[1])}
    assert set(FromColumn.model_fields) <= told


def test_the_mapping_on_the_page_makes_an_event(tmp_path):
    [written] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "m.yaml").write_text(written)
    mapping = mapping_file.load(tmp_path / "m.yaml")
    assert set(EventMapping.model_fields) == mapping.model_fields_set
    row = {"store": 7, "ticket": 1, "customer": "C1", "sold_at": "01.03.2026 09:30", "amount": "1.005", "medium": "E"}
    event = mapping.apply(row | {"department": "MEAT", "pieces": "3"})
    assert (event["value"], event["channel"]) == ({"minor": 101, "currency": "USD"}, "email")
    assert read(repr(event).replace("'", '"').encode(), 1).event is not None
