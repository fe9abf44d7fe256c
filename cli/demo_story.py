"""What the demo shows: a send, a refusal for lack of consent and a deferral, each asked for over HTTP.

A decision is a draw and may be "send nothing", so households are asked one after the other with fixed keys until
each kind has been seen; the probabilities printed are the recorded ones.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import httpx

TIMEOUT_SECONDS = 10.0
MESSAGE_TYPES = ("coupon_a", "coupon_b", "coupon_c")
MOST_ATTEMPTS = 400
"""After so many decisions without the kind looked for, something is wrong and the demo says so."""


class NotSeen(RuntimeError):
    """The kind of decision looked for did not come up."""


@dataclass
class Story:
    """Asks for decisions and counts them."""

    base_url: str
    api_key: str
    say: Callable[[str], None]
    decisions: int = 0
    _client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.api_key}"}
        self._client = httpx.Client(base_url=self.base_url, headers=headers, timeout=TIMEOUT_SECONDS)

    def until(self, what: str, recipients: Iterable[str], fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask about one recipient after the other until a decision fits, and tell it.

        Raises:
            NotSeen: none did.
        """
        for recipient, message_type in zip(recipients, _types(), strict=False):
            answer = self._decide(recipient, message_type, f"demo-{what}-{recipient}")
            if fits(answer):
                self._tell(what, message_type, answer)
                return answer
            if self.decisions % MOST_ATTEMPTS == 0:
                break
        raise NotSeen(
            f"no {what} among {self.decisions} decisions; the last was {answer['outcome']}, {answer['reason']}"
        )

    def _decide(self, recipient: str, message_type: str, key: str) -> dict[str, Any]:
        body = {"recipient_id": recipient, "message": {"type": message_type}, "explain": True}
        response = self._client.post("/v1/decisions", json=body, headers={"Idempotency-Key": key})
        if response.is_error:
            raise NotSeen(f"POST /v1/decisions answered {response.status_code}: {response.text[:500]}")
        self.decisions += 1
        answer: dict[str, Any] = response.json()
        return answer

    def _tell(self, what: str, message_type: str, answer: dict[str, Any]) -> None:
        self.say(f"\n{what.upper()}: {message_type}, decision {answer['decision_id']}")
        facts = {
            "outcome": answer["outcome"],
            "channel": answer.get("channel"),
            "variant": answer.get("variant_id"),
            "send at": answer.get("send_at"),
            "reason": answer["reason"],
            "probability": f"{answer['action_probability']:.6f}",
            "expected": _score(answer.get("score")),
            "says": (answer.get("content") or {}).get("subject") or (answer.get("content") or {}).get("title"),
        }
        for name, value in facts.items():
            if value is not None:
                self.say(f"  {name:<12} {value}")
        for sentence in _sentences(answer.get("explanation")):
            self.say(f"  because      {sentence}")


def _types() -> Iterator[str]:
    return cycle(MESSAGE_TYPES)


def _score(score: dict[str, Any] | None) -> str | None:
    if not score or score.get("p_convert") is None:
        return None
    return f"{score['p_convert']:.4f} conversions, value {score['value']:+.4f}"


def _sentences(explanation: Any) -> list[str]:
    if explanation is None:
        return []
    return [explanation] if isinstance(explanation, str) else [str(sentence) for sentence in explanation]
