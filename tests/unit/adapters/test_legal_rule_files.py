"""Rule sets: the published ones are whole and cited; a bad one is refused with file and field."""

import pytest

from adapters import legal_rule_files
from adapters.legal_rule_files import BadRules
from domain.values import Channel, MessageClass

GOOD = """
version: "mine"
jurisdictions: {US: [US]}
rules:
  - {id: a.hours, law: A, jurisdiction: US, classes: [marketing], channels: [sms], window: {opens: 9, closes: 20},
     duty: d, source: s}
"""


@pytest.mark.parametrize("version", legal_rule_files.versions())
def test_every_published_version_is_called_as_its_file_and_every_rule_has_its_source(version):
    rules = legal_rule_files.published(version)
    assert rules.version == version
    assert [rule.id for rule in rules.rules if not rule.source.strip()] == []


def test_the_laws_that_were_promised_are_there():
    rules = legal_rule_files.published("2026-11")
    laws = {rule.law for rule in rules.rules}
    assert {"GDPR", "CNIL", "CCPA/CPRA", "CAN-SPAM", "TCPA"} < laws
    hours = rules.rule("tcpa.calling_hours")
    assert (hours.window.opens, hours.window.closes) == (8, 21)
    assert len(rules.rule("tcpa.keywords").keywords) == 7
    assert rules.rule("mailbox.complaint_stop").cap.limit == 0.003
    assert rules.rule("ccpa.opt_out_signal").signal.header == "Sec-GPC"
    assert rules.rule("no.such_rule") is None


def test_a_set_of_ones_own_is_read_from_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    rules = legal_rule_files.load(str(path))
    assert rules.rules[0].concerns(MessageClass.MARKETING, Channel.SMS)
    assert legal_rule_files.load("2026-11").version == "2026-11"


@pytest.mark.parametrize(
    ("changed", "to", "field"),
    [
        ("opens: 9, closes: 20", "opens: 20, closes: 9", "rules.0.window"),
        ("jurisdiction: US", "jurisdiction: FR", "a.hours.jurisdiction"),
        ("channels: [sms]", "channels: [fax]", "rules.0.channels"),
        ("source: s", "source: ''", "rules.0.source"),
        ('version: "mine"', "versions: 1", "version"),
        ("classes: [marketing]", "classes: []", "rules.0.classes"),
        ("rules:", "rules: {", "line"),
    ],
)
def test_what_is_no_rule_set_is_refused_by_field(tmp_path, changed, to, field):
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD.replace(changed, to))
    with pytest.raises(BadRules, match=field):
        legal_rule_files.load(str(path))


def test_a_version_there_is_not_is_told_with_those_there_are(tmp_path):
    with pytest.raises(BadRules, match="2026-11"):
        legal_rule_files.load("1999-01")
    with pytest.raises(BadRules, match="cannot be read"):
        legal_rule_files.load(str(tmp_path / "none.yaml"))
