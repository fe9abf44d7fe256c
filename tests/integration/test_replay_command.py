"""``kairos replay``: what was recorded on real stores comes out the same again; what if is answered, or refused."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from adapters.postgres.budgets import ContactBudgets
from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.engine import Database
from adapters.postgres.event_effects import EventEffects
from adapters.postgres.events import EventLog
from adapters.postgres.message_types import MessageTypes
from adapters.settings import Settings
from cli.app import app
from cli.exit_codes import ExitCode
from domain.consent import ConsentChange, ConsentStatus
from domain.contact_budget import ContactBudget
from domain.decision_request import DecisionRequest
from domain.ingest import parse
from domain.values import Purpose
from serving.asks import Ask
from serving.decide import Decider, new_id
from tests.api import KEYS, settings_for
from tests.builders import NOON, a_type

MANY = 700
ALTERED = """
UPDATE decision SET record = jsonb_set(record, '{action_probability}', '0.25') WHERE decision_id = :id
"""
ANOTHER_BELIEF = """
UPDATE decision SET record = jsonb_set(record, '{expected,variants}', (
    SELECT jsonb_object_agg(key, jsonb_set(value, '{inputs,belief}', '7'))
    FROM jsonb_each(record->'expected'->'variants')
)) WHERE tenant = :tenant
"""


@pytest.fixture
def run(tmp_path, databases, box, monkeypatch):
    settings_for(tmp_path, databases, box)
    given = {"DATA_DIR": str(tmp_path), "POSTGRES_URL": databases.app, "KEY_ENCRYPTION_KEYS": KEYS}
    given["REDIS_URL"] = "redis://127.0.0.1:1"
    for name, value in given.items():
        monkeypatch.setenv(f"KAIROS_{name}", value)
    return lambda *words: CliRunner().invoke(app, ["replay", *words])


@pytest.fixture
def decided(db, tenant):
    """Decide about so many recipients, all of whom consented, at once; half of what is mailed converts."""
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    ContactBudgets(db).publish(tenant, ContactBudget(), actor="test")

    def decided(count, share=0.999, **message):
        who = [f"r{number}" for number in range(count)]
        grant = ConsentChange(purpose=Purpose.MARKETING, status=ConsentStatus.GIVEN, source="t", effective_at=NOON)
        ConsentStore(db).record_many(tenant, {each: [grant] for each in who}, actor="test", now=NOON)
        asks = [
            Ask(new_id(), DecisionRequest.model_validate({"recipient_id": each, "message": {"type": "news"} | message}))
            for each in who
        ]
        decider = Decider(DecisionLog(db), lambda: None, Settings(holdout_share=share, decision_postgres_ms=20_000))
        answers = [each.answer for each in decider.decide(tenant, asks, now=NOON, actor="test")]
        mailed = [(who, told) for who, told in zip(who, answers, strict=True) if told["channel"] == "email"]
        converted = [
            {
                "source": "shop", "event_id": new_id(), "type": "converted", "recipient_id": who, "channel": "email",
                "occurred_at": (NOON + timedelta(hours=1)).isoformat(), "decision_id": told["decision_id"],
            }
            for who, told in mailed[::2]
        ]  # fmt: skip
        later = NOON + timedelta(days=1)
        log = EventLog(db, EventEffects(), retention=timedelta(days=3650))
        log.append(
            tenant,
            [parse(each, place) for place, each in enumerate(converted)],
            origin="t",
            received_at=later,
            now=later,
        )
        return answers

    return decided


def document(done):
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith('{"tenant"')))


def test_every_kind_of_decision_is_made_again_without_a_difference(run, decided, tenant):
    decided(20)
    decided(20, share=0)
    decided(20, urgency="flexible")
    done = run("--since", "2026-03-01", "--tenant", tenant.tenant, "--json")
    assert done.exit_code == 0, done.output
    assert document(done) == {"tenant": tenant.tenant, "decisions": 60, "not_replayable": 0, "mismatches": []}


def test_one_decision_is_made_again_and_the_reading_is_audited(run, decided, tenant, db):
    (answer,) = decided(1)
    done = run("--decision", answer["decision_id"], "--tenant", tenant.tenant)
    assert done.exit_code == 0, done.output
    assert "1 decisions made again" in done.stdout
    with db.tenant(tenant.tenant) as connection:
        query = text("SELECT count(*) FROM audit WHERE action = 'decision.read' AND actor = 'operator'")
        assert connection.execute(query).scalar_one() == 1


def test_a_record_that_was_altered_fails_its_replay_by_field(run, decided, tenant, databases):
    (answer,) = decided(1)
    url = databases.server.set(database=databases.database)
    superuser = Database(url.render_as_string(hide_password=False))
    with superuser.begin() as connection:
        connection.execute(text(ALTERED), {"id": answer["decision_id"]})
    superuser.close()
    done = run("--decision", answer["decision_id"], "--tenant", tenant.tenant, "--json")
    assert done.exit_code == 1
    assert document(done)["mismatches"] == [{"decision_id": answer["decision_id"], "fields": ["action_probability"]}]


def test_without_push_everybody_is_mailed_and_the_worth_has_an_interval(run, decided, tenant):
    answers = decided(MANY)
    done = run("--since", "2026-03-01", "--tenant", tenant.tenant, "--set", "cap.push.day=0", "--json")
    assert done.exit_code == 0, done.output
    told = document(done)
    pushed = sum(answer["channel"] == "push" for answer in answers)
    assert sum(each["decisions"] for each in told["changed"] if each["from"] == "send_now push") == pushed
    worth = told["worth"]
    assert worth["verdict"] == "usable", worth["warnings"]
    # Two of three are mailed instead of two of five, and every other one of them converts.
    assert worth["estimates"]["dr"]["low"] < 1 / 3 < worth["estimates"]["dr"]["high"]
    assert worth["gains"]["over_log"]["low"] > 0


def test_what_the_log_never_tried_is_refused(run, decided, tenant):
    decided(MANY, share=0)
    done = run("--since", "2026-03-01", "--tenant", tenant.tenant, "--policy", "uniform")
    assert done.exit_code == 0, done.output
    assert "cannot be told" in done.stdout
    assert "the log never made" in done.stdout


def test_another_policy_of_variants_is_told_what_it_would_have_been_worth(run, decided, tenant):
    decided(MANY)
    done = run("--since", "2026-03-01", "--tenant", tenant.tenant, "--set", "variant_policy=thompson", "--json")
    assert done.exit_code == 0, done.output
    told = document(done)
    assert (told["decisions"], told["left_out"], told["changed"]) == (MANY, 0, []), "only the variant is another"
    # Nothing was learnt, so that every policy spreads its chances evenly: there is nothing to gain.
    gain = told["worth"]["gains"]["over_log"]
    assert gain["low"] < 0 < gain["high"]


def test_decisions_whose_belief_is_gone_are_told_and_not_guessed_at(run, decided, tenant, databases):
    decided(20, share=0)
    url = databases.server.set(database=databases.database)
    superuser = Database(url.render_as_string(hide_password=False))
    with superuser.begin() as connection:
        connection.execute(text(ANOTHER_BELIEF), {"tenant": tenant.tenant})
    superuser.close()
    done = run("--since", "2026-03-01", "--tenant", tenant.tenant, "--set", "variant_policy=thompson")
    assert done.exit_code == 0, done.output
    assert "0 decisions made again" in done.stdout
    assert "20 are left out: the belief about their variants is not kept" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "one of --decision and --since"),
        (("--decision", "d", "--since", "2026-03-01"), "one of --decision and --since"),
        (("--decision", "d"), "there is no decision d"),
        (("--decision", "d", "--policy", "rules"), "need --since"),
        (("--since", "2026-03-01", "--policy", "best"), "policy best: expected"),
        (("--since", "2026-03-01", "--set", "cap=3"), "cap=3: expected one of"),
        (("--since", "2026-03-01", "--set", "variant_policy=best"), "variant_policy=best: expected one of rules"),
        (("--since", "soon"), "--since: expected a date"),
        (("--since", "2026-03-01", "--tenant", "nobody"), "there is no tenant 'nobody'"),
    ],
)
def test_wrong_use_is_told_in_a_sentence(run, words, told):
    done = run(*words)
    assert done.exception.code is ExitCode.USAGE
    assert told in str(done.exception)
