"""The Feast services: what a model version reads, under a name that carries its version.

A published service is never edited; a model with other inputs gets the next version's name.
"""

from feast import FeatureService, FeatureView

ENGAGEMENT = "engagement_v1"
HABITS = "habits_v1"


def engagement(views: list[FeatureView]) -> FeatureService:
    """Return everything stored about a recipient, for the engagement model and for explanations."""
    return FeatureService(
        name=ENGAGEMENT,
        features=list(views),
        description="Every stored feature of a recipient; models pick theirs when the row is read.",
        owner="team:personalization",
    )


def habits(view: FeatureView) -> FeatureService:
    """Return what the models of hours and channels read about a recipient."""
    return FeatureService(
        name=HABITS,
        features=[view],
        description="When a recipient is there, and what they answer on which channel.",
        owner="team:personalization",
    )
