"""The API under schemathesis: all phases against a served document, as one kind of caller at a time.

Requests that are valid for certain are given as the document's examples, made of what the tenant really has, so that a
run reaches what needs an existing recipient, decision or job. What the tool makes up by itself comes on top.
"""

import copy
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from domain.roles import Role
from tests import api_examples
from tests.access_matrix import Builder, Operation, operations
from tests.builders import a_type

ENDLESS = "/v1/recipients/{recipient_id}/changes"
"""An answer that does not end by itself; it is asked for once, by hand."""
BROKEN_PROMISES = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "use_after_free",
)
"""Checks whose failure is a fault of ours: a 5xx, or an answer that the document does not tell of.

Not "ignored_auth": the document names two places for a credential, and the tool breaks one and leaves the other. The
access matrix asks every route as every kind of caller.
"""


@dataclass
class Found:
    """What runs as several callers found, added up."""

    requests: int = 0
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    faults: dict[str, str] = field(default_factory=dict)
    noted: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def server_errors(self) -> int:
        """How many answers were a 500 or worse, other than "try again later"."""
        return sum(n for counts in self.statuses.values() for status, n in counts.items() if status >= 500)

    def unreached(self, names: set[str]) -> set[str]:
        """Return the operations that never answered 2xx to anybody."""
        return {name for name in names if not any(200 <= status < 300 for status in self.statuses[name])}

    def add(self, event: events.ScenarioFinished) -> None:
        """Add one scenario's requests and checks."""
        for case_id, interaction in event.recorder.interactions.items():
            case = event.recorder.cases[case_id].value
            name = f"{case.operation.method.upper()} {case.operation.path}"
            self.requests += 1
            if interaction.response is not None:
                self.statuses[name][interaction.response.status_code] += 1
            for check in event.recorder.checks.get(case_id, ()):
                if check.failure_info is None:
                    continue
                if check.name in BROKEN_PROMISES:
                    failure = check.failure_info.failure
                    status = interaction.response.status_code if interaction.response is not None else "nothing"
                    how = f"{interaction.request.method} {interaction.request.uri}"
                    self.faults.setdefault(
                        f"{check.name} {name} {status} {failure.title}", f"{how} {failure.message[:400]}"
                    )
                else:
                    self.noted[f"{check.name} {name}"] += 1


@dataclass(frozen=True)
class Fuzzed:
    """A tenant with something of everything, and the document with examples made of it."""

    base_url: str
    document: Mapping[str, Any]
    person: str

    @property
    def names(self) -> set[str]:
        """The operations that are asked."""
        return {each.name for each in operations(self.document)}

    def run(self, key: str | None, into: Found, *, examples: int, seconds: int, seed: int = 1) -> None:
        """Ask everything as one caller: every example once, then in all phases, for at most so many seconds.

        The examples are outside the seconds: what is reached must not depend on how busy the machine is.
        """
        self._ask_examples(key, into)
        config = SchemathesisConfig(seed=seed, max_time=seconds)
        schema = schemathesis.openapi.from_dict(copy.deepcopy(dict(self.document)), config=config)
        schema.config.base_url = self.base_url
        schema.config.request_timeout = 10
        schema.config.continue_on_failure = True
        schema.config.generation.max_examples = examples
        schema.config.generation.no_shrink = True
        schema.config.generation.database = "none"
        if key is not None:
            schema.config.headers = {"X-API-Key": key}
        for event in from_schema(schema.exclude(path=ENDLESS)).execute():
            if isinstance(event, events.ScenarioFinished):
                into.add(event)
            elif isinstance(event, events.NonFatalError | events.FatalError):
                into.errors[str(getattr(event, "value", None) or getattr(event, "exception", event))[:300]] += 1
        self._listen(key, into)

    def _ask_examples(self, key: str | None, into: Found) -> None:
        headers = {} if key is None else {"X-API-Key": key}
        with httpx.Client(base_url=self.base_url, headers=headers, trust_env=False, timeout=30) as client:
            # What takes away comes last; nothing needs it any more then.
            for operation in sorted(operations(self.document), key=lambda each: each.method == "delete"):
                if operation.path != ENDLESS:
                    answer = client.request(**example(self.document, operation))
                    into.statuses[operation.name][answer.status_code] += 1
                    into.requests += 1

    def _listen(self, key: str | None, into: Found) -> None:
        headers = {} if key is None else {"X-API-Key": key}
        url = f"{self.base_url}{ENDLESS.format(recipient_id=self.person)}"
        with httpx.stream("GET", url, headers=headers, trust_env=False, timeout=10) as answer:
            into.statuses[f"GET {ENDLESS}"][answer.status_code] += 1
            into.requests += 1


def example(document: Mapping[str, Any], operation: Operation) -> dict[str, Any]:
    """Return the request of an operation's example in a document with examples."""
    known = {each["name"]: each["example"] for each in operation.spec.get("parameters", ()) if "example" in each}
    request = Builder(document, known).request(operation)
    if "json" in request:
        request["json"] = copy.deepcopy(operation.spec["requestBody"]["content"]["application/json"]["example"])
    return request


def prepared(api: httpx.Client, publish: Any, person: str) -> Fuzzed:
    """Give a tenant something of everything, and return its document with examples.

    Args:
        api: a client that may do everything inside one tenant.
        publish: publishes message types in that tenant.
        person: whom the examples are about; a run ends a lot, so each has its own.
    """
    publish([a_type(**{"class": "transactional"})])
    document = api.get("/openapi.json").json()
    known = api_examples.known(api, person)
    for operation in operations(document):
        _give_example(document, operation, known)
    return Fuzzed(str(api.base_url).rstrip("/"), document, person)


def _give_example(document: dict[str, Any], operation: Operation, known: Mapping[str, Any]) -> None:
    """Write into the document one request that the operation takes."""
    person = known["recipient_id"]
    spares = {"POST /v1/admin/keys/{prefix}/rotate": 0, "DELETE /v1/admin/keys/{prefix}": 1}
    own = {
        **known,
        "channel": "email",
        "type": "news",
        **api_examples.endings(known["recipient_id"]).get(operation.name, {}),
    }
    if operation.name in spares:
        own["prefix"] = known["spare_keys"][spares[operation.name]]
    place = document["paths"][operation.path][operation.method]
    # Part of an answer lacks what the whole must have; tests of its own ask for parts.
    place["parameters"] = [each for each in place.get("parameters", ()) if each["name"] != "fields"]
    if operation.name == "DELETE /v1/admin/hooks/{hook_id}":
        own["hook_id"] = known["spare_hook"]
    for parameter in place.get("parameters", ()):
        if parameter["name"] in own:
            parameter["example"] = own[parameter["name"]]
    content = place.get("requestBody", {}).get("content", {}).get("application/json")
    if content is not None:
        made = Builder(document, own).request(operation)["json"]
        content["example"] = json.loads(json.dumps(api_examples.bodies(person).get(operation.name, made)))


def callers(issue: Any) -> Iterator[tuple[str, str | None]]:
    """Yield who asks and their key: none, one that may everything in its tenant, one for each role.

    Each key is made when its turn comes: those who may revoke keys do.
    """
    yield "nobody", None
    yield "everything", issue(scopes=["*"])
    for role in Role:
        yield role.value, issue(roles=[role.value])
