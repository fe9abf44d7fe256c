"""Everything Feast registers, made anew by one function.

Applying the same Python objects twice from one process makes Feast forget what it has materialized, so nobody
keeps them.
"""

from typing import Any

from feast import Project

from feature_repo import entities, habits, services, views

PROJECT = "kairos"


def build(lake: str) -> list[Any]:
    """Return fresh objects in the order in which Feast can register them.

    Args:
        lake: absolute folder of the Parquet tables.
    """
    keys = [entities.tenant(), entities.recipient()]
    engagement_views = views.build(lake, keys)
    project = Project(name=PROJECT, description="Features of notification decisions.")
    habit_view = habits.view(lake, keys)
    read = [services.engagement(engagement_views), services.habits(habit_view)]
    return [project, *keys, *engagement_views, habit_view, *read]
