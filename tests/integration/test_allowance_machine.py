"""Whatever is said of three ids by two actors, in any order, merged, imported and erased: a denial wins every tie.

The model is the list of what was said, and of whom they were known to be one person then. A denial stands until
somebody who stands for all of those ids says yes later. Nothing of the service is in it; the gate must agree.
"""

import threading
from datetime import timedelta
from itertools import pairwise
from typing import NamedTuple
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from adapters.postgres.consent import ConsentStore
from adapters.postgres.decisions import DecisionLog
from adapters.postgres.erasures import Erasures
from adapters.postgres.merges import CannotMerge, IsAlias, Merges, SameRecipient
from adapters.postgres.message_types import MessageTypes
from adapters.postgres.preference_import import PreferenceImport
from adapters.settings import Settings
from domain.consent import ConsentChange
from domain.decision_request import DecisionRequest
from domain.gates import screen
from domain.preference_imports import novu
from domain.values import Purpose
from serving.decide import Decider
from tests.builders import NOON, a_type
from tests.thorough import examples

NAMES = st.sampled_from((0, 1, 2))
CHANNELS = ("email", "push")
SCOPES = st.sampled_from(("*", *CHANNELS))
ACTORS = st.sampled_from(("recipient", "operator"))
MINUTES = st.sampled_from((0, 0, 1, 5))
ENDS = st.sampled_from((None, None, 3))
MARKETING = Purpose.MARKETING


class Said(NamedTuple):
    """One statement: for whom it was known to stand, where, whether yes, since when and until when."""

    ids: frozenset[int]
    scope: str
    is_yes: bool
    at: object
    ends: object = None


def lifts(yes: Said, no: Said) -> bool:
    return (
        yes.is_yes
        and yes.ids >= no.ids
        and yes.at > no.at
        and no.scope in (yes.scope, "*")
        and (yes.scope != "*" or no.scope == "*")
    )


def machine(db, tenant):  # noqa: C901 - a class with its rules
    """Return the machine on real stores; every example has three ids of its own."""
    consents, merges, erasures, imports = ConsentStore(db), Merges(db), Erasures(db), PreferenceImport(db)
    decider = Decider(DecisionLog(db), lambda: None, Settings(holdout_share=0, decision_postgres_ms=20_000))

    class Machine(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.names = [f"r-{uuid4().hex}" for _ in range(3)]
            self.person = [frozenset({each}) for each in range(3)]
            self.aliases = set()
            self.now = NOON
            self.said = []
            self.muted = []
            self.gone = set()
            self.fresh = None

        @rule(minutes=st.integers(1, 4))
        def time_passes(self, minutes):
            self.now += timedelta(minutes=minutes)
            self.fresh = None

        @rule(who=NAMES, scope=SCOPES, yes=st.booleans(), ago=MINUTES, ends=ENDS, actor=ACTORS)
        def say(self, who, scope, yes, ago, ends, actor):
            said = self._said(who, scope, yes, ago, ends)
            consents.record(tenant, self.names[who], [_change(said)], actor=actor, now=self.now)
            self._note(who, said)

        @rule(who=NAMES, other=NAMES, scope=SCOPES, channel=st.sampled_from(CHANNELS))
        def one_says_no_and_then_another_says_yes_and_they_are_one(self, who, other, scope, channel):
            """What a merge is most likely to get wrong, so that it comes up in every run."""
            self.say(who, scope, yes=False, ago=0, ends=None, actor="recipient")
            self.time_passes(1)
            self.say(other, channel, yes=True, ago=0, ends=None, actor="operator")
            self._merge(other, who)

        @rule(who=NAMES, scope=SCOPES, yes=st.booleans(), ago=MINUTES)
        def a_platform_imports(self, who, scope, yes, ago):
            said = self._said(who, scope, yes, ago, None)
            consents.record_once(tenant, [(self.names[who], _change(said))], actor="platform", now=self.now)
            self._note(who, said)

        @rule(who=NAMES, channel=st.sampled_from(CHANNELS))
        def another_system_mutes(self, who, channel):
            row = novu({"subscriberId": self.names[who], "channels": {channel: False}}, {})
            result = imports.store(tenant, row, actor="import", now=self.now, is_trial=False)
            if result.denied + result.present:
                self.muted.append((self.person[who], channel))
            self.fresh = None

        @rule(stays=NAMES, other=NAMES)
        def merge(self, stays, other):
            self._merge(stays, other)

        @rule(stays=NAMES, other=NAMES, who=NAMES, scope=SCOPES)
        def merge_while_somebody_withdraws(self, stays, other, who, scope):
            said = Said(frozenset({who}), scope, is_yes=False, at=self.now)

            def withdraw():
                consents.record(tenant, self.names[who], [_change(said)], actor="recipient", now=self.now)

            withdrawing = threading.Thread(target=withdraw)
            withdrawing.start()
            self._merge(stays, other, meanwhile=withdrawing)
            self.said.append(said)

        def _merge(self, stays, other, meanwhile=None):
            is_one = self.person[stays] == self.person[other]
            if is_one and (stays == other or {stays, other} & self.aliases):
                expected = (SameRecipient, IsAlias)
            elif {stays, other} & self.aliases:
                expected = IsAlias
            else:
                expected = CannotMerge if {stays, other} & self.gone else None
            refused = self._refusal(stays, other)
            assert isinstance(refused, expected or type(None)), f"expected {expected}, and it was {refused!r}"
            if refused is None:
                both = self.person[stays] | self.person[other]
                for each in both:
                    self.person[each] = both
                self.aliases.add(other)
            if meanwhile is not None:
                meanwhile.join()
            # What is said from here on is later than the merge.
            self.now += timedelta(minutes=1)
            self.fresh = None

        def _refusal(self, stays, other):
            ids = self.names[stays], self.names[other]
            try:
                merges.merge(tenant, *ids, reason="t", actor="t", now=self.now)
            except (SameRecipient, IsAlias, CannotMerge) as error:
                return error
            return None

        @rule(who=NAMES)
        def erase(self, who):
            if len(self.said) % 3 == 0:
                erasures.request(tenant, self.names[who], actor="t", now=self.now)
                self.gone |= self.person[who]
                self.aliases -= self.person[who]
                self.fresh = None

        def _said(self, who, scope, yes, ago, ends):
            # Of a person who was merged only what is said now counts against what was said before.
            ago = ago if len(self.person[who]) == 1 else 0
            at = self.now - timedelta(minutes=ago)
            return Said(self.person[who], scope, yes, at, at + timedelta(minutes=ends) if yes and ends else None)

        def _note(self, who, said):
            self.said.append(said)
            is_plain = said.is_yes and said.scope != "*" and said.at == self.now and said.ends is None
            self.fresh = (who, said.scope) if is_plain and not self._denials(said.ids, said.scope) else None

        def _denials(self, ids, channel):
            here = [each for each in self.said if each.ids <= ids and each.scope in ("*", channel)]
            return [no for no in here if not no.is_yes and not any(lifts(yes, no) for yes in here)]

        def _must_refuse(self, who, channel):
            ids = self.person[who]
            here = [each for each in self.said if each.ids <= ids and each.scope in ("*", channel) and each.is_yes]
            holds = any(each.at <= self.now and (each.ends is None or each.ends > self.now) for each in here)
            is_muted = any(whose <= ids and where == channel for whose, where in self.muted)
            return bool(ids & self.gone or is_muted or not holds or self._denials(ids, channel))

        @invariant()
        def the_gate_agrees(self):
            found = decider.situations.by_recipient(tenant, self.names, "news", now=self.now)
            permitted = []
            for who, name in enumerate(self.names):
                request = DecisionRequest.model_validate({"recipient_id": name, "message": {"type": "news"}})
                permitted.append({each.value for each in screen(request, found[name]).permitted})
                for channel in CHANNELS:
                    if self._must_refuse(who, channel):
                        assert channel not in permitted[who], f"{who} on {channel}: {self.said}"
            if self.fresh is not None and not self._must_refuse(*self.fresh):
                assert self.fresh[1] in permitted[self.fresh[0]], f"a fresh yes does not count: {self.said}"
            for one, other in pairwise(range(3)):
                assert self.person[one] != self.person[other] or permitted[one] == permitted[other]

    return Machine


def _change(said: Said) -> ConsentChange:
    status = "given" if said.is_yes else "withdrawn"
    body = {"purpose": MARKETING, "channel": said.scope, "status": status, "source": "test"}
    return ConsentChange.model_validate(body | {"effective_at": said.at, "expires_at": said.ends})


@pytest.mark.timeout(240)
def test_no_order_of_consents_merges_imports_and_erasures_loses_a_denial(db, tenant):
    MessageTypes(db).publish(tenant, [a_type()], actor="test")
    run_state_machine_as_test(
        machine(db, tenant),
        settings=settings(
            max_examples=examples(60, 8), stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
