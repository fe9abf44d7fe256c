"""Mapping files: every fault is told with the key and the line to change."""

import pytest

from adapters.mapping_file import MOST_BYTES, BadMapping, load

GOOD = """\
time_zone: America/New_York
fields:
  source: {constant: tills}
  event_id: {template: "{store}-{ticket}"}
  type: {constant: purchase}
  recipient_id: customer
  occurred_at:
    column: sold_at
    format: "%d.%m.%Y"
"""

BOMB = "a0: &a0 {x: x}\n" + "".join(f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}\n" for n in range(1, 60))
"""Sixty lines that stand for more nodes than there are atoms in a person."""


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "m.yaml"
        path.write_text(text)
        return path

    return written


def test_a_good_file_is_read(write):
    assert set(load(write(GOOD)).columns) == {"store", "ticket", "customer", "sold_at"}


def test_a_source_from_outside_goes_before_the_files(write):
    without = write(GOOD.replace("  source: {constant: tills}\n", ""))
    assert load(without, source="crm").fields["source"].constant == "crm"
    with pytest.raises(BadMapping, match=r"m\.yaml:2: fields: source is missing"):
        load(without)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("time_zone: America", "time_zone: Mars", "m.yaml:1: time_zone: the name of a time zone"),
        ("column: sold_at", "colunm: sold_at", "m.yaml:7: fields.occurred_at.column: expected a value"),
        ("column: sold_at", "colunm: sold_at", "m.yaml:8: fields.occurred_at.colunm: expected no field of this name"),
        ("  recipient_id", "  recipient", "m.yaml:6: fields.recipient: not a field of an event"),
        ("  recipient_id: customer", "  recipient_id: [customer]", "m.yaml:6: fields.recipient_id"),
        ("  type:", "  source:", "m.yaml:5: source was given before, on line 3"),
        ("fields:", "feilds:", "m.yaml:2: feilds: expected no field of this name"),
        ("fields:", "fields: [", "not YAML"),
        ("time_zone: America/New_York", "- a", "not YAML"),
        (GOOD, "- a\n- b\n", "expected keys such as fields and time_zone"),
        (GOOD, "", "expected keys such as fields and time_zone"),
        (GOOD, "fields: !!python/object/apply:os.system [echo]", "m.yaml:1"),
        (GOOD, "x" * (MOST_BYTES + 1), "probably not a mapping"),
        (GOOD, "[" * 5_000, "nested too deeply"),
        (GOOD, "x: &x 1\nfields: {a: *x}\n", "m.yaml:2: not YAML: aliases are not read"),
        (GOOD, BOMB, "m.yaml:2: not YAML: aliases are not read"),
        ("time_zone: America/New_York", f"delimiter: {'1' * 5_000}", "a number or a date that cannot be read"),
        ("time_zone: America/New_York", "delimiter: 2026-13-45", "a number or a date that cannot be read"),
    ],
)
def test_a_fault_is_told_with_its_key_and_line(write, old, new, told):
    with pytest.raises(BadMapping) as caught:
        load(write(GOOD.replace(old, new)))
    assert told in str(caught.value)


def test_a_file_that_is_not_there_is_told_by_name(tmp_path):
    with pytest.raises(BadMapping, match=r"none\.yaml: No such file"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize("factor", ["1e999999", "1e-999999", "1e10", "-1", "0", ".inf", ".nan"])
def test_a_factor_that_no_amount_needs_is_refused_at_once(write, factor):
    amount = f"  value.minor: {{column: total, times: {factor}}}\n  value.currency: {{constant: EUR}}\n"
    with pytest.raises(BadMapping, match=r"m\.yaml:10: fields\.value\.minor\.times"):
        load(write(GOOD + amount))
    assert load(write(GOOD + amount.replace(factor, "100"))).fields["value.minor"].times == 100
