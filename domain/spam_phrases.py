"""Phrases that make people, and filters, take a message for spam: a short list of our own, advisory, English."""

PHRASES = (
    "100% free",
    "act now",
    "buy now",
    "cash bonus",
    "click here",
    "dear friend",
    "double your",
    "earn money",
    "free money",
    "guaranteed",
    "limited time only",
    "lose weight",
    "miracle",
    "no obligation",
    "once in a lifetime",
    "risk-free",
    "this is not spam",
    "while supplies last",
    "winner",
    "you have been selected",
)
