"""Who decides is looked after in every round; everybody else every few minutes."""

from serving.per_tenant import EVERYBODY_SECONDS, LATELY_SECONDS, PerTenant


class Looking(PerTenant):
    def __init__(self):
        self.seconds, self.seen = 0.0, []
        super().__init__(
            "looking", lambda: ["a", "b", "c"], on_unavailable="away", every_seconds=1, monotonic=lambda: self.seconds
        )

    def look_after(self, tenant):
        self.seen.append(tenant)

    def after(self, seconds):
        self.seconds += seconds
        self.seen.clear()
        self.work()
        return list(self.seen)


def test_everybody_is_looked_after_at_first_and_every_minute():
    looking = Looking()
    assert [looking.after(0), looking.after(EVERYBODY_SECONDS - 1), looking.after(1)] == [
        ["a", "b", "c"],
        [],
        ["a", "b", "c"],
    ]


def test_who_was_asked_about_lately_is_looked_after_in_every_round_and_then_no_more():
    looking = Looking()
    looking.after(0)
    looking.asked_about("b")
    assert [looking.after(1), looking.after(1)] == [["b"], ["b"]]
    looking.after(LATELY_SECONDS)
    assert looking.after(1) == []


def test_a_round_that_fails_is_tried_again_for_everybody():
    looking = Looking()
    looking.look_after = lambda _tenant: 1 / 0
    for _ in range(2):
        try:
            looking.work()
        except ZeroDivisionError:
            looking.look_after = looking.seen.append
    assert looking.seen == ["a", "b", "c"]
