"""A person's decisions in the spool's files: gone with their erasure, in their export, and nobody else's touched."""

from dataclasses import replace

import pytest

from adapters.decision_spool import FOLDER
from adapters.decisions_aside import FILE, DecisionsAside
from adapters.personal_data.places import NotYet, Person
from adapters.personal_data.spool_place import SpoolFiles
from adapters.secrets import SecretBox
from domain.tenants import Tenant
from tests.unit.adapters.test_decision_spool import BOX, TENANT, opened, spooled

WHO = Person(TENANT, "canary-recipient", "e")
OTHER_TENANT = Tenant(tenant="u", display_name="u", subject_secret=b"u" * 32)


def of(number, who, tenant="t"):
    return replace(spooled(number, recipient_id=who, subject_key=f"key of {who}"), tenant=tenant)


@pytest.fixture
def aside(tmp_path):
    folder = tmp_path / FOLDER
    folder.mkdir()
    aside = DecisionsAside(folder, BOX)
    for each in (of(1, "canary-recipient"), of(2, "somebody"), of(3, "canary-recipient", tenant="u")):
        aside.add(each)
    return aside


def test_an_erasure_takes_the_persons_lines_and_a_second_one_finds_none(tmp_path, aside):
    place = SpoolFiles(tmp_path, BOX)
    assert place.erase(None, WHO) == 1
    assert [each.name for each in aside.all()] == [("t", "d2"), ("u", "d3")]
    assert place.erase(None, WHO) == 0
    assert (tmp_path / FOLDER / FILE).stat().st_mode & 0o777 == 0o600


def test_lines_under_another_secret_stay_where_they_are(tmp_path, aside):
    stranger = DecisionsAside(tmp_path / FOLDER, SecretBox(b"x" * 32))
    stranger.add(of(9, "canary-recipient"))
    assert SpoolFiles(tmp_path, BOX).erase(None, WHO) == 1
    assert [each.name for each in stranger.all()] == [("t", "d9")]


def test_an_export_has_what_was_put_aside_and_what_waits_of_the_person_alone(tmp_path, aside):
    spool = opened(tmp_path / FOLDER)
    spool.add(of(4, "canary-recipient"))
    records, after = SpoolFiles(tmp_path, BOX).page(None, WHO, None)
    assert ([each["decision_id"] for each in records], after) == (["d1", "d4"], None)
    [other], _ = SpoolFiles(tmp_path, BOX).page(None, Person(OTHER_TENANT, "canary-recipient", "e"), None)
    assert other["decision_id"] == "d3"


def test_what_waits_to_be_recorded_is_waited_for(tmp_path):
    spool = opened(tmp_path / FOLDER)
    spool.add(of(4, "canary-recipient"))
    place = SpoolFiles(tmp_path, BOX)
    with pytest.raises(NotYet):
        place.erase(None, WHO)
    assert place.erase(None, Person(TENANT, "somebody", "e")) == 0
    spool.drain(lambda _: None)
    assert place.erase(None, WHO) == 0


def test_without_any_file_there_is_nothing(tmp_path):
    place = SpoolFiles(tmp_path, BOX)
    assert place.erase(None, WHO) == 0
    assert place.page(None, WHO, None) == ([], None)
