"""What the fuzzed tenant has, and what some routes take: examples of requests that are valid for certain."""

from typing import Any

import httpx

TEMPLATE = {
    "type": "custom",
    "description": "calm",
    "values": [{"preference": {"value": {"frequency": "weekly"}}}],
    "audiences": [{"name": "french", "rule": {"field": "profile.country", "equals": "FR"}}],
}
HOOK = {"url": "https://hooks.example.com/in", "events": ["profile_updated"], "description": "shop"}


def known(api: httpx.Client, person: str) -> dict[str, Any]:
    """Return by name what exists: of what an operation ends, one of its own."""

    def made(method: str, path: str, body: Any) -> Any:
        answer = api.request(method, path, json=body)
        assert answer.status_code < 300, (path, answer.text)
        return answer.json()

    address = {"channel": "email", "address": "fuzzed@example.org"}
    for who in (person, f"{person}-leaving"):
        made("PUT", f"/v1/recipients/{who}/profile", {"locale": "fr", "channels": {"email": {"reachable": True}}})
        made("PUT", f"/v1/recipients/{who}/addresses/email", {"address": address["address"]})
        wanted = {"scope": {"channel": "email"}, "value": {"enabled": True}}
        chosen = made("PUT", f"/v1/recipients/{who}/preferences", wanted)
    decision = made("POST", "/v1/decisions", {"recipient_id": person, "message": {"type": "news"}})
    made("POST", "/v1/suppressions", address)
    made("PUT", "/v1/content-source", {"url": "https://cms.example.com/texts", "key": "k"})
    bulk = {"recipient_ids": ["a", "b"], "preferences": [{"value": {"enabled": True}}]}
    made("PUT", "/v1/preferences/templates/calm", TEMPLATE)
    made("PUT", f"/v1/recipients/{person}-leaving/preferences/template", {"template_id": "calm"})
    for old in made("GET", "/v1/admin/hooks", None)["hooks"]:
        api.delete(f"/v1/admin/hooks/{old['hook_id']}").raise_for_status()  # there may be twenty at most
    hooks = [made("POST", "/v1/admin/hooks", HOOK)["hook"]["hook_id"] for _ in range(2)]
    made("POST", f"/v1/admin/hooks/{hooks[0]}/test", {})
    applied = made("POST", "/v1/preferences/templates/calm/apply", {"recipient_ids": [person]})
    for role in ("other", "anonymous"):
        made("PUT", f"/v1/recipients/{person}-{role}/profile", {"locale": "fr"})
    contested = made("POST", f"/v1/decisions/{decision['decision_id']}/contest", {"statement": "no"})
    return {
        "recipient_id": person,
        "template_id": "calm",
        "audience": "french",
        "level": "basic",
        "hook_id": hooks[0],
        "spare_hook": hooks[1],
        "delivery_id": made("GET", f"/v1/admin/hooks/{hooks[0]}/deliveries", None)["deliveries"][0]["delivery_id"],
        "application_id": applied["application_id"],
        "contest_id": contested["contest_id"],
        "export_id": made("POST", f"/v1/recipients/{person}/exports", {"kind": "access"})["export_id"],
        "decision_id": decision["decision_id"],
        "preference_id": chosen["preference_id"],
        "job_id": made("POST", "/v1/preferences/bulk", bulk)["job_id"],
        "erasure_id": made("POST", f"/v1/recipients/{person}-erased/erasure", {})["erasure_id"],
        "spare_keys": [
            made("POST", "/v1/admin/keys", {"name": f"spare {n}", "roles": ["analyst"]})["prefix"] for n in range(2)
        ],
    }


def bodies(person: str) -> dict[str, Any]:
    """Return what some routes take, where the schema alone does not tell."""
    return {
        "POST /v1/events": {
            "events": [
                {
                    "source": "fuzz",
                    "event_id": "e-1",
                    "type": "opened",
                    "recipient_id": person,
                    "channel": "email",
                    "occurred_at": "2026-03-01T09:30:00Z",
                    "properties": {"message_id": "m-1"},
                }
            ]
        },
        "POST /v1/decisions": {"recipient_id": person, "message": {"type": "news"}},
        "POST /v1/decisions/preview": {"recipient_id": person, "message": {"type": "news"}},
        "POST /v1/decisions/batch": {"decisions": [{"request": {"recipient_id": person, "message": {"type": "news"}}}]},
        "POST /v1/plans": {"recipient_id": person, "message": {"type": "news"}},
        "PUT /v1/business-rules": {"rules": []},
        "PUT /v1/brand-rules": {"banned": ["cheap"]},
        "PUT /v1/volume-targets": {"channels": {"push": {"messages_a_day": 1000}}},
        "PUT /v1/recipients/{recipient_id}/profile": {"locale": "fr"},
        "PATCH /v1/recipients/{recipient_id}/profile": {"locale": "de"},
        "POST /v1/recipients/{recipient_id}/consents": {"purpose": "marketing", "status": "given", "source": "fuzz"},
        "POST /v1/suppressions/lift": {"channel": "email", "address": "fuzzed@example.org", "reason": "their wish"},
        "POST /v1/suppressions/import": {"entries": [{"channel": "email", "address": "other@example.org"}]},
        "POST /v1/sms/inbound": {"recipient_id": person, "text": "STOP"},
        "PUT /v1/recipients/{recipient_id}/preferences": {"value": {"enabled": True}},
        "POST /v1/preferences/validate": {"preferences": [{"value": {"enabled": True}}]},
        "POST /v1/score": {"items": [{"features": {}}]},
        "POST /v1/preferences/bulk": {"recipient_ids": ["a", "b"], "preferences": [{"value": {"enabled": True}}]},
        "PUT /v1/preferences/policy": {"defaults": []},
        "POST /v1/admin/keys": {"name": "fuzz", "roles": ["analyst"]},
        "POST /v1/admin/keys/{prefix}/rotate": {"overlap_seconds": 60},
        "POST /v1/admin/hooks": HOOK,
        "PATCH /v1/admin/hooks/{hook_id}": {"description": "shop"},
        "PUT /v1/preferences/templates/{template_id}": TEMPLATE,
        "POST /v1/preferences/templates/{template_id}/apply": {"recipient_ids": [person]},
        "POST /v1/preferences/templates/{template_id}/feedback": {"rating": 4},
        "POST /v1/preferences/templates/{template_id}/preview": {"recipient_id": person},
        "POST /v1/preferences/templates/{template_id}/preview/sample": {},
        "PUT /v1/recipients/{recipient_id}/preferences/template": {"template_id": "calm"},
        "POST /v1/recipients/{recipient_id}/merge": {"other": f"{person}-other", "reason": "same login"},
        "POST /v1/recipients/{recipient_id}/rectification": {"profile": {"city": "Laval"}, "reason": "misspelt"},
        "PUT /v1/recipients/{recipient_id}/addresses/{channel}": {"address": "again@example.org"},
        "POST /v1/suppressions": {"channel": "email", "address": "third@example.org"},
        "POST /v1/suppressions/check": {"channel": "email", "address": "third@example.org"},
        "PUT /v1/admin/service-levels/{level}": {"stages": ["gates", "template"], "deadline_ms": 10},
        "PUT /v1/admin/attribute-schema": {"properties": {"tier": {"type": "string"}}},
        "POST /v1/admin/tenants": {"tenant": f"{person}-tenant", "display_name": "Fuzzed"},
    }


def endings(person: str) -> dict[str, Any]:
    """Return whom the operations are asked about that end something."""
    return {
        "DELETE /v1/recipients/{recipient_id}/profile": {"recipient_id": f"{person}-leaving"},
        "DELETE /v1/recipients/{recipient_id}/addresses/{channel}": {"recipient_id": f"{person}-leaving"},
        "DELETE /v1/recipients/{recipient_id}/preferences/{preference_id}": {"recipient_id": f"{person}-leaving"},
        "DELETE /v1/recipients/{recipient_id}/preferences/template": {"recipient_id": f"{person}-leaving"},
        "POST /v1/recipients/{recipient_id}/erasure": {"recipient_id": f"{person}-erased"},
        "POST /v1/recipients/{recipient_id}/anonymize": {"recipient_id": f"{person}-anonymous"},
    }
