"""Put uv into a folder with nothing but the standard library, for a machine without it.

Fetches the newest wheel of one series for this machine from the package index, checks its SHA-256 against the
index, and unpacks the one program in it.
"""

import hashlib
import io
import json
import platform
import re
import sys
import sysconfig
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

INDEX = "https://pypi.org/simple/uv/"
SERIES = "0.13."
JSON_INDEX = "application/vnd.pypi.simple.v1+json"
TIMEOUT_SECONDS = 120


def wheel_tag() -> str:
    """Return the pattern of the part of a wheel's file name that says which machines it runs on."""
    machine = platform.machine().lower()
    if sys.platform == "darwin":
        return r"macosx_\d+_\d+_" + ("arm64" if machine == "arm64" else "x86_64")
    libc = "musllinux" if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or "") else "manylinux"
    return rf"{libc}_[\w.]*{machine}"


def newest(files: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the newest wheel of the series for this machine."""
    form = re.compile(rf"uv-({re.escape(SERIES)}\d+)-py3-none-{wheel_tag()}[\w.]*\.whl")
    fitting = [
        (tuple(map(int, match[1].split("."))), file) for file in files if (match := form.fullmatch(file["filename"]))
    ]
    if not fitting:
        raise SystemExit(f"no uv {SERIES}x for {platform.machine()} on {sys.platform}; please install uv yourself")
    return max(fitting, key=lambda pair: pair[0])[1]


def main(target: Path) -> None:
    """Write the program to ``target``."""
    request = urllib.request.Request(INDEX, headers={"Accept": JSON_INDEX})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        file = newest(json.load(answer)["files"])
    with urllib.request.urlopen(file["url"], timeout=TIMEOUT_SECONDS) as answer:
        wheel = answer.read()
    if hashlib.sha256(wheel).hexdigest() != file["hashes"]["sha256"]:
        raise SystemExit("the downloaded uv does not match the index's checksum")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        name = next(entry for entry in archive.namelist() if entry.endswith("/scripts/uv"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(archive.read(name))
    target.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
