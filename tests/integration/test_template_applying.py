"""Applying a template beside others who change the same recipient: what they committed first is obeyed."""

import threading

import pytest

from adapters.clock import Clock
from adapters.postgres import allowances, template_applying
from adapters.postgres.consent import ConsentStore
from adapters.postgres.preference_templates import PreferenceTemplates
from adapters.postgres.preferences import RecipientGone
from adapters.postgres.profiles import Profiles
from adapters.postgres.recipient_facts import RecipientFacts
from adapters.postgres.template_applications import NotMet, TemplateApplications
from domain.consent import ConsentChange, ConsentStatus
from domain.preference_templates import Template
from domain.values import Purpose

OFF = {"type": "custom", "description": "d", "values": [{"preference": {"value": {"enabled": False}}}]}
QUIET = {"count": {"event": "clicked", "days": 30}, "less_than": 1}


@pytest.fixture
def applications(db):
    return TemplateApplications(db, RecipientFacts(), Clock())


@pytest.fixture
def meanwhile(monkeypatch):
    """Do something in another thread, and commit it, just before an application locks whom it is about."""

    def arrange(work):
        real, done = allowances.touch, []

        def touch(*arguments, **more):
            if not done:
                done.append(True)
                other = threading.Thread(target=work)
                other.start()
                other.join(timeout=30)
                assert not other.is_alive()
            return real(*arguments, **more)

        monkeypatch.setattr(template_applying.allowances, "touch", touch)
        return done

    return arrange


def publish(db, tenant, **fields):
    PreferenceTemplates(db).publish(tenant, "calm", Template.model_validate(OFF | fields), actor="test")


def consent(db, tenant, status):
    given = ConsentChange(purpose=Purpose.PERSONALIZATION, status=status, source="f")
    ConsentStore(db).record(tenant, "r", [given], actor="test", now=Clock().now(tenant))


def test_who_is_deleted_meanwhile_gets_no_template(db, tenant, applications, meanwhile):
    publish(db, tenant)
    now = Clock().now(tenant)
    done = meanwhile(lambda: Profiles(db).delete(tenant, "r", actor="test", now=now))
    with pytest.raises(RecipientGone):
        applications.apply(tenant, "r", "calm", None, actor="test")
    assert done
    assert applications.membership(tenant, "r", actor="test") is None


def test_who_withdraws_personalization_meanwhile_is_judged_without_their_behaviour(db, tenant, applications, meanwhile):
    publish(db, tenant, conditions=QUIET)
    consent(db, tenant, ConsentStatus.GIVEN)
    done = meanwhile(lambda: consent(db, tenant, ConsentStatus.WITHDRAWN))
    with pytest.raises(NotMet):
        applications.apply(tenant, "r", "calm", None, actor="test")
    assert done
    assert applications.membership(tenant, "r", actor="test") is None


def test_a_decision_under_way_holds_an_application_back(db, tenant, applications):
    """A decision is recorded on what it read: an application waits until it is."""
    publish(db, tenant)
    with db.tenant(tenant.tenant) as connection:
        allowances.make_heads(connection, tenant.tenant, ["r"])
    applied = threading.Event()

    def apply():
        applications.apply(tenant, "r", "calm", None, actor="test")
        applied.set()

    with db.tenant(tenant.tenant) as connection:
        allowances.lock(connection, ["r"])
        thread = threading.Thread(target=apply)
        thread.start()
        assert not applied.wait(0.5)
    thread.join(timeout=30)
    assert applied.is_set()
