"""A service that decides by a rule one can foretell, and remembers what it was asked and told."""

import json

import httpx

from models.simulator.sender import LIVE_CHANNELS


class FakeService:
    """Sends the first variant on the first channel that is on; a transport for ``Service``."""

    def __init__(self, *, batches=True):
        self.batches = batches
        self.channels = {}
        self.left = set()
        self.answers = {}
        self.asked = []
        self.told = {}
        self.clock = None
        self.early = []
        self.dies_at = None
        self.busy = 0

    @property
    def transport(self):
        return httpx.MockTransport(self.handle)

    def handle(self, request):
        if self.busy:
            self.busy -= 1
            return httpx.Response(503, text="busy")
        path, body = request.url.path, json.loads(request.content)
        if path == "/v1/events":
            return httpx.Response(202, json={"verdicts": [self.take(event) for event in body["events"]]})
        if path == "/v1/decisions":
            return httpx.Response(200, json=self.decide(request.headers["Idempotency-Key"], body))
        if path == "/v1/decisions/batch" and self.batches:
            items = body["decisions"]
            verdicts = [{"decision": self.decide(each["idempotency_key"], each["request"])} for each in items]
            return httpx.Response(200, json={"verdicts": verdicts})
        if path.startswith("/v1/recipients/"):
            self.welcome(path.split("/")[3:], body)
            return httpx.Response(200, json={})
        return httpx.Response(404, text="no such route")

    def welcome(self, path, body):
        switches = self.channels.setdefault(path[0], dict.fromkeys(LIVE_CHANNELS, True))
        if path[1] == "channels":
            switches[path[2]] = body["is_on"]

    def take(self, event):
        if event["occurred_at"] > self.clock.isoformat():
            self.early.append(event["event_id"])
        if event["type"] == "unsubscribed":
            self.left.add((event["recipient_id"], event["channel"]))
        known = self.told.setdefault(event["event_id"], event)
        return {"verdict": "stored" if known is event else "duplicate" if known == event else "conflict"}

    def decide(self, key, request):
        if key == self.dies_at:
            self.dies_at = None
            raise KeyboardInterrupt
        self.asked.append(key)
        who = request["recipient_id"]
        on = [name for name in LIVE_CHANNELS if self.channels[who][name] and (who, name) not in self.left]
        return self.answers.setdefault(
            key,
            {
                "decision_id": f"d-{key}",
                "outcome": "send_now" if on else "suppress",
                "channel": on[0] if on else None,
                "variant_id": "v3" if on else None,
                "action_probability": 1.0,
                "reason": "policy.rules" if on else "consent.withdrawn",
                "versions": {"models": {"engagement": "7"} if on else {}},
            },
        )
