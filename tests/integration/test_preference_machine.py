"""Whatever two people, their devices, an import and an operator do, in any order: a denial wins every tie.

The model is a list of what was said, each with what its speaker had been told; nothing of the service is in it.
"""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from adapters.postgres.preference_import import PreferenceImport
from adapters.postgres.preference_sync import PreferenceSync
from adapters.postgres.preferences import Preferences
from domain.preference_edits import DeviceEdits
from domain.preference_imports import novu
from domain.preferences import Preference
from tests.thorough import examples

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DEVICES = st.sampled_from(("phone", "laptop"))
EMAIL = {"channel": "email"}


def machine(db, tenant):  # noqa: C901 - a class with its rules
    """Return the machine on real stores; every example has a recipient of its own."""
    sync, chosen, imports = PreferenceSync(db), Preferences(db), PreferenceImport(db)

    class Machine(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.who = f"r-{uuid4().hex}"
            self.seen = {"phone": {}, "laptop": {}}
            self.told = {"phone": frozenset(), "laptop": frozenset()}
            self.numbers = {"phone": 0, "laptop": 0}
            self.unsent = []
            self.sent = []
            self.arrived = {}
            self.direct = 0

        @rule(device=DEVICES, value=st.booleans(), by=st.booleans(), minutes=st.integers(-600, 600))
        def say_offline(self, device, value, by, minutes):
            self.numbers[device] += 1
            name = (device, self.numbers[device])
            edit = {"number": name[1], "seen": self.seen[device], "at": (NOON + timedelta(minutes=minutes)).isoformat()}
            edit |= {"scope": EMAIL, "value": {"enabled": value}, "by_recipient": by}
            own = {(device, earlier) for earlier in range(1, name[1])}
            self.unsent.append((name, edit, (self.told[device] | own, value, by)))

        @rule(choice=st.randoms(use_true_random=False))
        def send_something_in_any_order(self, choice):
            if self.unsent:
                self._send(self.unsent.pop(choice.randrange(len(self.unsent))))

        @rule(choice=st.randoms(use_true_random=False))
        def send_something_again(self, choice):
            if self.sent:
                self._send(choice.choice(self.sent), is_repeated=True)

        def _send(self, said, *, is_repeated=False):
            (device, number), edit, meaning = said
            answer = self._take(device, [edit])
            assert answer.verdicts[0].is_repeated is is_repeated
            assert not answer.verdicts[0].verdict.is_refusal
            if not is_repeated:
                self.sent.append(said)
                self.arrived[device, number] = meaning

        @rule(device=DEVICES)
        def ask_what_holds(self, device):
            answer = self._take(device, [])
            self.seen[device] = {name: n for name, n in answer.scopes[0].seen.items() if name != device}
            self.told[device] = self._without_gaps()

        def _take(self, device, edits):
            body = {"device": device, "edits": edits, "scopes": [EMAIL]}
            sent = DeviceEdits.model_validate_json(json.dumps(body))
            return sync.take(tenant, self.who, sent, actor="test", now=NOON)

        @rule(value=st.booleans())
        def an_operator_puts(self, value):
            body = {"scope": EMAIL, "value": {"enabled": value}}
            chosen.put(tenant, self.who, Preference.model_validate(body), actor="operator")
            self._directly(value)

        @rule(value=st.booleans())
        def another_system_says(self, value):
            row = novu({"subscriberId": self.who, "channels": {"email": value}}, {})
            result = imports.store(tenant, row, actor="import", now=NOON, is_trial=False)
            if not value:
                assert result.denied + result.present == 1
            assert not (value and result.allowed and self.arrived), "an allow came over something that was said"
            if result.denied or result.allowed:
                self._directly(value)

        def _directly(self, value):
            self.direct += 1
            self.arrived["direct", self.direct] = (self._without_gaps(), value, True)
            self._take("phone", [])

        def _without_gaps(self):
            """Return what arrived but for what follows something that is still on its way."""
            return frozenset(
                name for name in self.arrived if all((name[0], n) in self.arrived for n in range(1, name[1]))
            )

        @invariant()
        def a_denial_nobody_lifted_holds(self):
            stored = chosen.all(tenant, self.who, actor="test")
            holds = [each.preference.value.enabled for each in stored]
            if self._denials():
                assert holds == [False], f"lost: {self._denials()} of {self.arrived}"
            elif self.arrived:
                assert holds == [True], f"nothing denies any more: {self.arrived}"
            else:
                assert holds == []

        def _denials(self):
            """Return the denials that nothing said with knowledge of them replaced."""
            replaced = set()
            for known, allows, is_act in self.arrived.values():
                if is_act or not allows:
                    replaced |= known
            return [name for name, (_, allows, _) in self.arrived.items() if not allows and name not in replaced]

    return Machine


@pytest.mark.timeout(240)
def test_no_order_of_edits_imports_and_operators_loses_a_denial(db, tenant):
    run_state_machine_as_test(
        machine(db, tenant),
        settings=settings(
            max_examples=examples(60, 8), stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
