"""Put uv into a folder with nothing but the standard library, for a machine without it.

Fetches the newest wheel of one series for this machine from the package index, checks its SHA-256 against the
index, and unpacks the one program in it.
"""

import hashlib
import io
import platform
import re
import sys
import sysconfig
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

INDEX = "https://pypi.org/simple/uv/"
SERIES = "0.13."
LINK = re.compile(r'<a[^>]*href="([^"#]+)#sha256=([0-9a-f]{64})"[^>]*>([^<]+)</a>')
TIMEOUT_SECONDS = 120


def wheel_tag() -> str:
    """Return the pattern of the part of a wheel's file name that says which machines it runs on."""
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return r"macosx_\d+_\d+_" + ("arm64" if machine == "arm64" else "x86_64")
    libc = "musllinux" if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or "") else "manylinux"
    return rf"{libc}_[\w.]*{machine}"


def newest(page: str) -> tuple[str, str]:
    """Return address and SHA-256 of the newest wheel of the series for this machine, from the index's page."""
    form = re.compile(rf"uv-({re.escape(SERIES)}\d+)-py3-none-{wheel_tag()}[\w.]*\.whl")
    fitting = [
        (tuple(map(int, match[1].split("."))), address, checksum)
        for address, checksum, name in LINK.findall(page)
        if (match := form.fullmatch(name.strip()))
    ]
    if not fitting:
        raise SystemExit(f"no uv {SERIES}x for {platform.machine()} on {sys.platform}; please install uv yourself")
    _, address, checksum = max(fitting)
    return urllib.parse.urljoin(INDEX, address), checksum


def fetch(address: str) -> bytes:
    """Return what an address of the index holds."""
    with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:
        return answer.read()


def main(target: Path) -> None:
    """Write the program to ``target``."""
    address, checksum = newest(fetch(INDEX).decode())
    wheel = fetch(address)
    if hashlib.sha256(wheel).hexdigest() != checksum:
        raise SystemExit("the downloaded uv does not match the index's checksum")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        name = next(entry for entry in archive.namelist() if entry.endswith("/scripts/uv"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(archive.read(name))
    target.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
