"""What a tenant says about preferences, what a set of preferences would mean, and what each channel can do."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import Field

from adapters.postgres.versioned_documents import Published
from domain.channel_capabilities import CAPABILITIES, Capabilities
from domain.preferences import MAX_PREFERENCES, Finding, Preference, PreferencePolicy, conflicts
from domain.preferences import problems as problems_of
from domain.values import Channel, Frozen
from serving.http.auth import Caller, PartsOf, permission
from serving.http.conditional import conditional
from serving.http.errors import problems
from serving.http.problem_codes import declared
from serving.http.routes import Route
from serving.http.strict_body import body_of
from serving.http.versions import IfMatch, refusing, seen, tag

router = APIRouter(route_class=Route, tags=["preferences"])
VERSION_CONFLICT = declared(
    "preference_policy.version_conflict", 412, "The preference policy has changed since the version you saw."
)


class PublishedPolicy(Frozen):
    """A tenant's policy in one of its versions; version 0 is the empty one before any."""

    version: int
    policy: PreferencePolicy


class Proposal(Frozen):
    """Preferences to look at; nothing is stored."""

    preferences: tuple[Preference, ...] = Field(min_length=1, max_length=MAX_PREFERENCES)


class Verdict(Frozen):
    """Whether the preferences could be stored, why not, and which of them overrule a denial among them."""

    is_valid: bool
    problems: list[Finding]
    conflicts: list[Finding]


class ChannelCapabilities(Frozen):
    """What one channel can do."""

    channel: Channel
    capabilities: Capabilities


class ChannelList(Frozen):
    """Every channel there is."""

    channels: list[ChannelCapabilities]


@router.get("/v1/preferences/policy", summary="Read the tenant's preference policy")
@conditional
def get_preference_policy(
    caller: Annotated[Caller, permission("types:read")], parts: PartsOf, response: Response
) -> PublishedPolicy:
    """Return the defaults and the schema of custom settings in force; the version is the `ETag` too."""
    return _tagged(parts.preference_policies.get(caller.tenant), response)


@router.put("/v1/preferences/policy", summary="Publish the tenant's preference policy", responses=problems(412))
def put_preference_policy(
    caller: Annotated[Caller, permission("preference_policy:write")],
    body: Annotated[PreferencePolicy, body_of(PreferencePolicy)],
    parts: PartsOf,
    response: Response,
    if_match: IfMatch = None,
) -> PublishedPolicy:
    """Put a policy in force for every decision from now on; an equal one makes no new version.

    Defaults hold where a recipient said nothing. They never stand for consent.
    """
    with refusing(VERSION_CONFLICT, "policy"):
        kept = parts.preference_policies
        published = kept.publish(caller.tenant, body, actor=caller.actor, if_version=seen(if_match))
    return _tagged(published, response)


@router.post("/v1/preferences/validate", summary="Check preferences without storing them")
def validate_preferences(
    caller: Annotated[Caller, permission("types:read")],
    body: Annotated[Proposal, body_of(Proposal)],
    parts: PartsOf,
) -> Verdict:
    """Say whether these preferences could be stored together, and which of them overrule a denial among them."""
    schema = parts.preference_policies.get(caller.tenant).document.settings_schema
    found = problems_of(body.preferences, schema)
    now = parts.clock.now(caller.tenant)
    return Verdict(is_valid=not found, problems=found, conflicts=conflicts(body.preferences, now))


@router.get("/v1/channels", summary="Read what each channel can do")
def get_channels(
    caller: Annotated[Caller, permission("types:read")],  # noqa: ARG001 - its name is what limits the route
) -> ChannelList:
    """Return every channel with its limits and abilities."""
    return ChannelList(
        channels=[ChannelCapabilities(channel=channel, capabilities=CAPABILITIES[channel]) for channel in Channel]
    )


def _tagged(published: Published[PreferencePolicy], response: Response) -> PublishedPolicy:
    tag(response, published.version)
    return PublishedPolicy(version=published.version, policy=published.document)
