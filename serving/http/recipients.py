"""What every address below ``/v1/recipients/{recipient_id}`` shares: how a recipient is named in it."""

from typing import Annotated

from fastapi import Path

from domain.events import Identifier

RecipientId = Annotated[Identifier, Path(description="The recipient's id as your events name it, percent-encoded.")]
PREFIX = "/v1/recipients/{recipient_id:path}"
"""An id may hold a slash, which arrives decoded; the rest of the address tells where it ends."""
