"""Kept answers: never more than their limit, and nobody who asks for much pushes out what others use."""

from adapters.kept_answers import KeptAnswers


def kept(answers, owner, keys):
    return [key for key in keys if answers.get(owner, key) is not None]


def test_of_one_owner_the_answer_that_was_used_longest_ago_leaves_first():
    answers = KeptAnswers(30)
    for key in "abc":
        answers.put("shop", key, key.upper(), 10)
    assert answers.get("shop", "a") == "A"
    answers.put("shop", "d", "D", 10)
    assert (kept(answers, "shop", "abcd"), answers.size) == (["a", "c", "d"], 30)


def test_room_is_counted_in_bytes_and_not_in_answers():
    answers = KeptAnswers(100)
    for number in range(50):
        answers.put("shop", number, "small", 2)
    answers.put("shop", "large", "large", 60)
    assert answers.size == 100
    assert kept(answers, "shop", range(50)) == list(range(30, 50))
    answers.put("shop", "larger than everything", "x", 101)
    assert answers.size == 0


def test_who_asks_for_much_pushes_out_their_own():
    answers = KeptAnswers(100)
    answers.put("small", "a", "A", 10)
    answers.put("small", "b", "B", 10)
    for number in range(1_000):
        answers.put("large", number, "x", 10)
    assert kept(answers, "small", "ab") == ["a", "b"]
    assert kept(answers, "large", range(1_000)) == list(range(992, 1_000))


def test_an_answer_put_again_is_counted_once_and_what_is_forgotten_not_at_all():
    answers = KeptAnswers(100)
    for size in (40, 50):
        answers.put("shop", "a", "A", size)
    answers.put("shop", "b", "B", 20)
    answers.put("other", "a", "A", 5)
    assert answers.size == 75
    answers.remove("shop", "b")
    answers.remove("shop", "unknown")
    assert answers.size == 55
    answers.drop("shop")
    answers.drop("unknown")
    assert (answers.size, answers.get("shop", "a"), answers.get("other", "a")) == (5, None, "A")
