"""Erasing a person: nothing of them is left in any store, everybody else's data is, and a kill changes nothing."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from adapters.clock import Clock
from adapters.erasure_ledger import ErasureLedger
from adapters.personal_data import place_names
from adapters.personal_data.eraser import Eraser, places
from adapters.personal_data.restored import reapply
from adapters.postgres import subject_keys
from adapters.postgres.consent import ConsentStore
from adapters.postgres.erasures import Erasures
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.preference_templates import PreferenceTemplates
from adapters.postgres.profiles import Profiles, UnknownRecipient
from adapters.postgres.recipient_facts import RecipientFacts
from adapters.postgres.schema import metadata
from adapters.postgres.tables import profile
from adapters.postgres.template_applications import TemplateApplications
from domain.identity import subject_key
from domain.ingest import parse
from domain.preference_templates import Template
from domain.profiles import Profile
from tests.canaries import DAY, NOW, hits, mark, plant

GONE, STAYS = "person-gone", "person-gone-2"


class Killed(BaseException):
    """The process ends here, as if it were killed."""


@pytest.fixture
def ledger(tmp_path):
    return ErasureLedger(tmp_path / "ledger")


@pytest.fixture
def eraser(db, lake, redis, ledger, tmp_path, box):
    return Eraser(db, places(lake, redis, tmp_path, box), ledger)


@pytest.fixture
def planted(db, tenant, lake, redis):
    """Plant a canary of two people in every store."""
    for who in (GONE, STAYS):
        plant(db, tenant, lake, redis, who)
    return tenant


IN_CLEAR = {"event", "decision", "follow_up", "lake", "online_features", "mlflow_artifacts"}


def test_nothing_of_an_erased_person_is_left_in_any_store_and_everybody_else_is(db, planted, lake, redis, eraser):
    assert hits(db, planted, lake, redis, GONE) == hits(db, planted, lake, redis, STAYS) == IN_CLEAR
    asked = Erasures(db).request(planted, GONE, actor="test", now=NOW)
    receipt = eraser.run(planted, asked.erasure_id)
    assert hits(db, planted, lake, redis, GONE) == set()
    assert hits(db, planted, lake, redis, STAYS) == IN_CLEAR
    assert receipt.finished_at is not None
    assert set(receipt.done) == set(place_names.every())
    counted = {place: count for place, count in receipt.done.items() if count}
    assert counted == {
        "subject_data_key": 1, "event": 1, "consent_record": 2, "consent_state": 2, "decision": 1, "follow_up": 1,
        "decision_contest": 1, "objection": 1, "dead_letter": 2,
        "outbox": 1, "lake": 3, "mlflow_artifacts": 4, "online_features": 1,
    }  # fmt: skip
    assert lake.notes("events", day=DAY) == {"since": "2020"}
    assert [row["tenant"] for row in lake.read("events", day=DAY).to_pylist()].count("other") == 2
    assert Profiles(db).get(planted, STAYS, actor="test").profile.city == mark(STAYS)
    with pytest.raises(UnknownRecipient):
        Profiles(db).put(planted, GONE, Profile(), actor="test")
    with db.tenant(planted.tenant) as connection:
        assert subject_keys.of(connection).is_destroyed(connection, planted, GONE)
        assert connection.execute(text("SELECT recipient_id FROM erasure")).scalar_one() is None


def test_the_suppression_is_at_once_and_a_repeated_request_is_the_same(db, planted):
    first = Erasures(db).request(planted, GONE, actor="test", now=NOW)
    assert ConsentStore(db).allowances(planted, GONE).is_deleted
    assert Erasures(db).request(planted, GONE, actor="test", now=NOW) == first
    assert Erasures(db).open(planted) == [first.erasure_id]


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_erasure_killed_at_any_step_goes_on_and_is_complete(db, planted, lake, redis, ledger, tmp_path, box, when):
    class Deadly:
        def __init__(self, place):
            self.name = place.name
            self._place = place
            self._killed = False

        def erase(self, connection, person):
            if self._killed:
                return self._place.erase(connection, person)
            self._killed = True
            if when == "after":
                self._place.erase(connection, person)
            raise Killed

    everywhere = [Deadly(place) for place in places(lake, redis, tmp_path, box)]
    asked = Erasures(db).request(planted, GONE, actor="test", now=NOW)
    for number in range(len(everywhere)):
        with pytest.raises(Killed):
            Eraser(db, everywhere, ledger).run(planted, asked.erasure_id)
        half = Erasures(db).get(planted, asked.erasure_id)
        assert half.finished_at is None
        assert len(half.done) == number
    receipt = Eraser(db, everywhere, ledger).run(planted, asked.erasure_id)
    assert receipt.finished_at is not None
    assert hits(db, planted, lake, redis, GONE) == set()


def test_what_is_kept_on_a_ground_stays_and_the_receipt_names_it(db, planted, lake, redis, eraser):
    keep = {"decision": "legal hold 17"}
    asked = Erasures(db).request(planted, GONE, actor="test", now=NOW, keep=keep)
    receipt = eraser.run(planted, asked.erasure_id)
    assert receipt.keep == keep
    assert set(receipt.done) == set(place_names.every()) - {"decision"}
    assert hits(db, planted, lake, redis, GONE) == {"decision"}


def test_an_event_that_says_deleted_erases_too(db, planted, lake, redis, eraser):
    event = {"source": "crm", "event_id": "d", "type": "recipient_deleted", "recipient_id": GONE}
    items = [parse(event | {"occurred_at": "2026-03-02T04:00:00Z"}, 0)]
    log = EventLog(db, EventEffects(), retention=timedelta(days=365))
    log.append(planted, items, origin="api", received_at=NOW, now=NOW)
    [asked] = Erasures(db).open(planted)
    assert eraser.run(planted, asked).finished_at is not None
    assert hits(db, planted, lake, redis, GONE) == set()


def test_a_restored_backup_erases_again_what_was_erased_after_it(db, planted, lake, redis, ledger, eraser):
    ledger.add(planted.tenant, subject_key(planted.subject_secret, GONE), at=NOW)
    [asked] = reapply(db, planted, ledger, now=NOW)
    assert ConsentStore(db).allowances(planted, GONE).is_deleted
    assert not ConsentStore(db).allowances(planted, STAYS).is_deleted
    eraser.run(planted, asked)
    assert hits(db, planted, lake, redis, GONE) == set()
    assert reapply(db, planted, ledger, now=NOW) == []


def test_a_restored_backup_that_knows_only_what_somebody_preferred_is_put_right_too(db, tenant, ledger):
    with db.tenant(tenant.tenant) as connection:
        given = {"tenant": tenant.tenant, "who": GONE}
        connection.execute(text("INSERT INTO channel_switch VALUES (:tenant, :who, 'sms', false, 'form')"), given)
    ledger.add(tenant.tenant, subject_key(tenant.subject_secret, GONE), at=NOW)
    assert len(reapply(db, tenant, ledger, now=NOW)) == 1


def test_an_erasure_is_in_the_ledger_before_anything_is_erased(db, planted, lake, redis, ledger, eraser):
    assert ledger.subjects(planted.tenant) == set()
    asked = Erasures(db).request(planted, GONE, actor="test", now=NOW)
    eraser.run(planted, asked.erasure_id)
    assert ledger.subjects(planted.tenant) == {subject_key(planted.subject_secret, GONE)}


def test_without_an_open_request_the_application_still_erases_nothing_append_only(db, planted, eraser):
    asked = Erasures(db).request(planted, GONE, actor="test", now=NOW).erasure_id
    for request, place in (("none", "decision"), (asked, "audit")):
        with pytest.raises(ProgrammingError), db.tenant(planted.tenant) as connection:
            connection.execute(text("SELECT kairos_erase_rows(:r, :p)"), {"r": request, "p": place})
    eraser.run(planted, asked)
    with pytest.raises(ProgrammingError), db.tenant(planted.tenant) as connection:
        connection.execute(text("SELECT kairos_erase_rows(:r, 'decision')"), {"r": asked})


def test_every_table_that_names_a_person_is_erased_or_says_why_not():
    named = {each.name for each in metadata.sorted_tables if {"recipient_id", "subject_key"} & set(each.c.keys())}
    assert named <= set(place_names.every()) | place_names.KEPT.keys()
    assert profile.name in place_names.KEPT


def test_the_template_of_an_erased_person_and_what_it_replaced_are_erased_too(db, planted, eraser):
    off = {"type": "custom", "description": "d", "values": [{"preference": {"value": {"enabled": False}}}]}
    applications = TemplateApplications(db, RecipientFacts(), Clock())
    for name in ("first", "second"):
        PreferenceTemplates(db).publish(planted, name, Template.model_validate(off), actor="test")
        for who in (GONE, STAYS):
            applications.apply(planted, who, name, None, actor="test")
    asked = Erasures(db).request(planted, GONE, actor="test", now=NOW)
    done = eraser.run(planted, asked.erasure_id).done
    assert (done["template_member"], done["template_change"]) == (1, 2)
    with db.tenant(planted.tenant) as connection:
        for table in ("template_member", "template_change"):
            left = connection.execute(text(f"SELECT DISTINCT recipient_id FROM {table}")).scalars().all()
            assert left == [STAYS]
