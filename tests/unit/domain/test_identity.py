"""Pseudonyms and draws: stable for one subject, independent between names, uniform over many."""

import uuid

from domain.identity import decision_id, draw, in_share, subject_key

SECRET = bytes(range(32))
MANY = 20_000


def test_a_pseudonym_is_stable_and_belongs_to_one_tenant():
    assert subject_key(SECRET, "r-1") == subject_key(SECRET, "r-1")
    assert subject_key(SECRET, "r-1") != subject_key(SECRET, "r-2")
    assert subject_key(SECRET, "r-1") != subject_key(SECRET[::-1], "r-1")
    assert "r-1" not in subject_key(SECRET, "r-1")


def test_one_idempotency_key_stands_for_one_decision():
    assert decision_id(SECRET, "k") == decision_id(SECRET, "k") != decision_id(SECRET, "l")
    assert str(uuid.UUID(decision_id(SECRET, "k"))) == decision_id(SECRET, "k")


def test_a_draw_belongs_to_its_decision_and_its_stage():
    assert draw("d", "policy") == draw("d", "policy")
    assert len({draw("d", "policy"), draw("d", "slot"), draw("e", "policy")}) == 3


def test_draws_are_uniform():
    draws = [draw(str(number), "policy") for number in range(MANY)]
    assert 0 <= min(draws) < max(draws) < 1
    shares = [sum(low <= d < low + 0.1 for d in draws) / MANY for low in (0, 0.3, 0.9)]
    # Four standard errors of a share of a tenth.
    assert all(abs(share - 0.1) < 4 * (0.09 / MANY) ** 0.5 for share in shares)


def test_a_share_holds_about_that_many_subjects_and_nobody_at_zero():
    held = sum(in_share(str(number), "holdout", 0.05) for number in range(MANY)) / MANY
    assert abs(held - 0.05) < 4 * (0.05 * 0.95 / MANY) ** 0.5
    assert not any(in_share(str(number), "holdout", 0) for number in range(100))
