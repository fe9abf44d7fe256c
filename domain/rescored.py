"""A recorded choice of a channel under other chances of a conversion: what the same policy would have done then."""

from collections.abc import Mapping
from typing import Any

from domain import policy
from domain.expected import ChannelTerms
from domain.policy import PolicyName
from domain.stages import Settings
from domain.values import Channel

NOTHING = "nothing"


def options(stage: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a recorded stage's options: channels, and ``nothing`` for sending nothing."""
    return tuple(option["channel"] or NOTHING for option in stage["options"])


def probabilities(
    stage: Mapping[str, Any],
    expected: Mapping[str, Any],
    settings: Mapping[str, Any],
    p_convert: Mapping[str, float],
) -> tuple[float, ...]:
    """Return the chance of each option of a recorded stage, had the model said ``p_convert``.

    Args:
        stage: the recorded channel stage.
        expected: what models expected, as recorded.
        settings: the policy's constants, as recorded.
        p_convert: chance of a conversion by channel, for every channel among the options.

    Raises:
        KeyError: a channel has no chance.
    """
    recorded = tuple(float(each) for each in stage["probabilities"])
    if stage["policy"] != PolicyName.EPSILON_SOFTMAX:
        # The hold-out and the rules ask no model, so another model changes nothing there.
        return recorded
    constants = Settings.model_validate(dict(settings))
    values = []
    for name in options(stage):
        if name == NOTHING:
            values.append(0.0)
            continue
        terms = ChannelTerms.model_validate(expected["channels"][name])
        spoken = terms.model_copy(update={"p_convert": p_convert[Channel(name).value]})
        values.append(spoken.net(constants.weights))
    return policy.epsilon_softmax(values, epsilon=constants.epsilon, temperature=constants.temperature)
