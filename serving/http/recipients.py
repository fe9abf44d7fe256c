"""What every address below ``/v1/recipients/{recipient_id}`` shares: how a recipient is named in it, and who that is.

This is where an alias enters by address: what a handler gets is who stands for the recipient now. Should a merge commit
between that and the handler's transaction, the lock on the recipient's head tells it (``Moved``), and nothing is done.
"""

from typing import Annotated

from fastapi import Depends, Path, Request

from domain.events import Identifier
from serving.http.auth import PartsOf

NamedRecipient = Annotated[Identifier, Path(description="The recipient's id as your events name it, percent-encoded.")]
"""As the caller named them, an alias or not."""
PREFIX = "/v1/recipients/{recipient_id:path}"
"""An id may hold a slash, which arrives decoded; the rest of the address tells where it ends."""


def _standing(request: Request, recipient_id: NamedRecipient, parts: PartsOf) -> str:
    """Return who stands for the recipient of an address: themselves, or whom they were merged into."""
    # Set by the credential, which every handler declares before the recipient.
    tenant: str = request.state.tenant
    return parts.merges.survivor(tenant, recipient_id)


RecipientId = Annotated[str, Depends(_standing)]
