"""The prices of volume in force: what a message must be worth more than, on a channel and of the whole tenant."""

from collections.abc import Mapping

from pydantic import Field

from domain.values import Channel, Frozen
from domain.volume_targets import TENANT


class VolumePrice(Frozen):
    """One price in one of its versions, in conversions a message."""

    price: float = Field(ge=0)
    version: int = Field(ge=1)


class VolumePrices(Frozen):
    """A tenant's prices by scope, as they were last read."""

    scopes: Mapping[str, VolumePrice] = Field(default_factory=dict)
    is_stale: bool = Field(default=False, description="The store did not answer lately; these are the last known.")

    def of(self, channel: Channel) -> float:
        """Return what a message on a channel costs: the channel's price and the tenant's, 0 without any."""
        return sum(self.scopes[scope].price for scope in (TENANT, channel.value) if scope in self.scopes)
