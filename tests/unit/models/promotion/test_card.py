"""A card says what a version is for, and every number with its interval."""

from models.promotion.card import Card


def test_a_card_tells_use_limits_data_features_and_numbers_with_intervals():
    card = Card(
        name="engagement",
        purpose="To compare channels.",
        limits="It never saw winter.",
        target="the chance of a conversion",
        features=("a", "b"),
        data={"snapshot": "f00d"},
        metrics={"auc": 0.7, "auc_low": 0.65, "auc_high": 0.75, "n": 900.0},
        importance={"a": 0.9, "b": 0.0},
    ).markdown()
    for told in ("To compare channels.", "It never saw winter.", "`f00d`", "`a`, `b`", "| n | 900.0000 |  |"):
        assert told in card
    assert "| auc | 0.7000 | 0.6500 to 0.7500 |" in card
    assert "auc_low" not in card
    assert "`a`: 90.0% of the gain" in card
    assert "`b`:" not in card
