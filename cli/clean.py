"""``kairos clean``: deletes the data folder and the demo's, and what is kept outside for it, when nothing runs on it.

Exit codes: 0 deleted or nothing to delete, 1 declined, 3 still running, 5 the folder is not one of Kairos.
"""

from typing import Annotated

import typer


def clean(
    *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask; all events and decisions are lost.")] = False
) -> None:
    """Delete the data folder and everything kept outside for it."""
    from adapters.settings import load_settings
    from cli import data_folder
    from cli.demo import demo_folder

    settings = load_settings()
    home = settings.data_dir.expanduser().absolute()
    if not yes:
        typer.confirm(f"Delete {home} with all events, decisions and models?", abort=True)
    for folder in (home, demo_folder(settings)):
        for path in data_folder.delete(folder):
            typer.echo(f"deleted {path}")
