"""A hook before a decision may only take channels away; one that fails, hangs or answers nonsense changes nothing."""

import threading

import pytest

from domain.business_rules import Ruled
from domain.values import Channel, Reason
from serving import local_hooks
from serving.local_hooks import Hook, LocalHooks

BOTH = (Channel.EMAIL, Channel.PUSH)
FACTS = {"recipient_id": "r"}


def tightened(*calls, ruled: Ruled | None = None, seconds: float = 5.0) -> Ruled:
    hooks = LocalHooks([Hook(f"pre_decision.h{place}", call) for place, call in enumerate(calls)], seconds=seconds)
    return hooks.tightened(ruled or Ruled(), BOTH, FACTS)


def test_a_hook_takes_a_channel_away_and_the_record_names_it():
    left = tightened(lambda facts: ["push"] if facts["recipient_id"] == "r" else [])
    assert (left.refusal(Channel.PUSH), left.refusal(Channel.EMAIL)) == (Reason.HOOK_REFUSED, None)
    assert left.refused_by == {Channel.PUSH: "hook-pre_decision-h0"}
    assert Ruled.model_validate(left.model_dump(mode="json")) == left


def test_what_a_rule_refused_stays_refused_by_the_rule():
    ruled = Ruled(refused={Channel.PUSH: Reason.RULE_EXCLUDED}, refused_by={Channel.PUSH: "mine"})
    assert tightened(lambda _: [], ruled=ruled) == ruled
    assert tightened(lambda _: ["push"], ruled=ruled) == ruled


def test_a_channel_the_type_does_not_have_is_nothing_to_take_away():
    assert tightened(lambda _: ["voice"]) == Ruled()


@pytest.mark.parametrize("answer", [["fax"], 7, {"channels": []}.keys(), "email"])
def test_nonsense_changes_nothing(answer):
    assert tightened(lambda _: answer) == Ruled()


def test_a_hook_that_fails_or_hangs_changes_nothing_and_the_next_one_is_asked():
    release = threading.Event()
    try:
        left = tightened(lambda _: 1 / 0, lambda _: release.wait(30), lambda _: ["email"], seconds=0.2)
    finally:
        release.set()
    assert left.refusal(Channel.EMAIL) is Reason.HOOK_REFUSED


def test_a_hook_that_always_fails_is_spared_after_a_while():
    calls = []

    def failing(_):
        calls.append(1)
        raise RuntimeError

    hooks = LocalHooks([Hook("pre_decision", failing)], seconds=5.0)
    for _ in range(20):
        assert hooks.tightened(Ruled(), BOTH, FACTS) == Ruled()
    assert len(calls) == 5


def test_hooks_are_told_what_happened_and_never_waited_for(monkeypatch):
    monkeypatch.setattr(local_hooks, "MOST_WAITING", 3)
    release, told = threading.Event(), threading.Semaphore(0)

    def slow(_):
        release.wait(30)
        told.release()

    hooks = LocalHooks([Hook("post_decision.slow", slow)])
    for _ in range(10):
        hooks.tell("post_decision", FACTS)
    release.set()
    for _ in range(3):
        assert told.acquire(timeout=30)
    assert not told.acquire(timeout=0.2)


def test_a_hook_at_a_point_there_is_not_is_left_out():
    assert not LocalHooks([Hook("before_lunch", print)]).has("before_lunch")
