"""``kairos privacy``: erases people and shows the receipts.

Exit codes: 0 done, 1 not every place is, 2 wrong use, 6 the servers do not run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.credential import Session, session
from cli.exit_codes import ExitCode, Refused

if TYPE_CHECKING:
    from adapters.personal_data.eraser import Eraser
    from adapters.postgres.erasures import Erasure

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Erase people, and show the receipts.")
WRITE, READ = "privacy:write", "privacy:read"
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]


@app.command()
def erase(
    recipient_id: Annotated[str, typer.Argument(help="The recipient's id as your events name it.")],
    *,
    keep: Annotated[
        list[str] | None, typer.Option(help="A place to leave alone and the ground: decision=legal hold 17.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Suppress a recipient of the tenant whose key is in KAIROS_API_KEY and erase them everywhere now."""
    from adapters.postgres.erasures import Erasures

    grounds = _grounds(keep or [])
    with session(WRITE) as opened, _eraser(opened) as eraser:
        now = opened.clock.now(opened.tenant)
        asked = Erasures(opened.database).request(opened.tenant, recipient_id, actor="cli", now=now, keep=grounds)
        _print(eraser.run(opened.tenant, asked.erasure_id), as_json=as_json)


@app.command()
def run(*, as_json: AsJson = False) -> None:
    """Go on now with every request of the tenant that is not finished; the eraser does so by itself."""
    from adapters.postgres.erasures import Erasures

    with session(WRITE) as opened, _eraser(opened) as eraser:
        for erasure_id in Erasures(opened.database).open(opened.tenant):
            _print(eraser.run(opened.tenant, erasure_id), as_json=as_json)


@app.command()
def receipt(erasure_id: str, *, as_json: AsJson = False) -> None:
    """Show how a request stands."""
    from adapters.postgres.erasures import Erasures, UnknownErasure

    with session(READ) as opened:
        try:
            found = Erasures(opened.database).get(opened.tenant, erasure_id)
        except UnknownErasure as error:
            raise Refused(f"{error}: {erasure_id}", ExitCode.USAGE) from None
    _print(found, as_json=as_json)
    if found.finished_at is None:
        raise typer.Exit(ExitCode.FAILED)


@contextmanager
def _eraser(opened: Session) -> "Iterator[Eraser]":
    from adapters.endpoints import resolve
    from adapters.erasure_ledger import ErasureLedger
    from adapters.lake import Lake
    from adapters.personal_data.eraser import Eraser, places
    from adapters.personal_data.online_place import OnlineUnavailable
    from adapters.redis.client import BACKGROUND_TIMEOUT_MS, connect
    from adapters.secrets import SecretBox

    settings = opened.settings
    with connect(resolve(settings).redis_url, timeout_ms=BACKGROUND_TIMEOUT_MS) as redis:
        everywhere = places(Lake(settings.lake_dir), redis, settings.data_dir, SecretBox.of(settings))
        try:
            yield Eraser(opened.database, everywhere, ErasureLedger.of(settings))
        except OnlineUnavailable as error:
            raise Refused(f"{error}; what is done stays done, run it again", ExitCode.NOT_RUNNING) from None


def _grounds(given: list[str]) -> dict[str, str]:
    from adapters.personal_data import place_names

    pairs = [each.partition("=") for each in given]
    if any(place not in place_names.erasable() or len(ground) < _SHORTEST_GROUND for place, _, ground in pairs):
        expected = f"PLACE=GROUND with one of: {', '.join(place_names.erasable())}"
        raise Refused(f"--keep: expected {expected}", ExitCode.USAGE)
    return {place: ground for place, _, ground in pairs}


_SHORTEST_GROUND = 3


def _print(erasure: "Erasure", *, as_json: bool) -> None:
    if as_json:
        print(erasure.model_dump_json())
        return
    print(f"{erasure.erasure_id}: {'done' if erasure.finished_at else 'not done'}")
    for place, count in sorted(erasure.done.items()):
        print(f"  {place}: {count} erased")
    for place, ground in sorted(erasure.keep.items()):
        print(f"  {place}: kept ({ground})")
