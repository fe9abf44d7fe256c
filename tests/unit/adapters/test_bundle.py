"""A serving bundle is opened only when it is, byte for byte, what was signed."""

import json
import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters import bundle
from adapters.bundle import (
    FILES,
    MANIFEST,
    SIGNATURE,
    BundleExists,
    BundleInfo,
    BundleRefused,
    BundleSigner,
)
from adapters.secrets import SecretBox

SIGNER = BundleSigner.of(SecretBox(b"k" * 32))
CONTENT = {name: f"{name:<20}".encode() * 20 for name in FILES}


def info(version: str = "7", model: str = "engagement") -> BundleInfo:
    return BundleInfo(
        model=model,
        version=version,
        run_id="r1",
        feature_service="engagement_v1",
        data_digest="d1",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return bundle.write(tmp_path, info(), CONTENT, signer=SIGNER)


def opened(path: Path, version: str = "7", model: str = "engagement") -> bundle.Bundle:
    return bundle.verify_and_open(path, model=model, version=version, verifier=SIGNER.verifier)


def test_what_was_published_is_what_is_opened(published: Path) -> None:
    found = opened(published)
    assert (found.info, dict(found.files)) == (info(), CONTENT)
    assert len(found.digest) == 64


def test_every_flipped_bit_anywhere_is_refused(published: Path) -> None:
    dice = random.Random(20260101)
    for _ in range(300):
        path = published / dice.choice([*FILES, MANIFEST, SIGNATURE])
        body = bytearray(path.read_bytes())
        place = dice.randrange(len(body))
        body[place] ^= 1 << dice.randrange(8)
        original = path.read_bytes()
        path.write_bytes(body)
        with pytest.raises(BundleRefused):
            opened(published)
        path.write_bytes(original)
    opened(published)


@pytest.mark.parametrize("name", [*FILES, MANIFEST, SIGNATURE])
@pytest.mark.parametrize("change", [lambda body: body[:-1], lambda _: b"", lambda body: body + b"\n"])
def test_a_cut_or_lengthened_file_is_refused(published: Path, name: str, change: object) -> None:
    path = published / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(BundleRefused):
        opened(published)


@pytest.mark.parametrize("name", [*FILES, MANIFEST, SIGNATURE])
def test_a_missing_file_is_refused_by_name(published: Path, name: str) -> None:
    (published / name).unlink()
    with pytest.raises(BundleRefused, match=name):
        opened(published)


@pytest.mark.parametrize("name", ["model.pkl", ".hidden", "sub"])
def test_anything_more_than_the_list_is_refused(published: Path, name: str) -> None:
    if name == "sub":
        (published / name).mkdir()
    else:
        (published / name).write_bytes(b"")
    with pytest.raises(BundleRefused, match=name):
        opened(published)


def test_two_swapped_files_are_refused(published: Path) -> None:
    first, second = published / FILES[0], published / FILES[1]
    body = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(body)
    with pytest.raises(BundleRefused, match="not what was signed"):
        opened(published)


def test_a_bundle_of_another_version_or_model_is_refused(tmp_path: Path) -> None:
    other = bundle.write(tmp_path / "a", info("8"), CONTENT, signer=SIGNER)
    other.rename(tmp_path / "a" / "7")
    with pytest.raises(BundleRefused, match="wanted engagement 7"):
        opened(tmp_path / "a" / "7")
    strange = bundle.write(tmp_path / "b", info(model="churn"), {"parameters.json": b"{}"}, signer=SIGNER)
    with pytest.raises(BundleRefused, match="signed as churn"):
        bundle.verify_and_open(strange, model="send_time", version="7", verifier=SIGNER.verifier)
    with pytest.raises(BundleRefused, match="files missing or not ours"):
        opened(strange)


def test_a_bundle_signed_with_another_secret_is_refused(tmp_path: Path) -> None:
    stranger = BundleSigner.of(SecretBox(b"s" * 32))
    path = bundle.write(tmp_path, info(), CONTENT, signer=stranger)
    with pytest.raises(BundleRefused, match="signature"):
        opened(path)


def test_the_signature_is_checked_before_the_manifest_is_parsed(published: Path) -> None:
    (published / MANIFEST).write_bytes(b"not json")
    with pytest.raises(BundleRefused, match="signature"):
        opened(published)


def test_a_signed_manifest_that_lists_other_files_is_refused(published: Path) -> None:
    manifest = json.loads((published / MANIFEST).read_bytes())
    manifest["files"]["../../etc/passwd"] = manifest["files"].pop("model.json")
    body = json.dumps(manifest).encode()
    (published / MANIFEST).write_bytes(body)
    (published / SIGNATURE).write_bytes(SIGNER.sign(body))
    with pytest.raises(BundleRefused, match="does not list exactly"):
        opened(published)


def test_links_and_pipes_are_refused_unread(published: Path, tmp_path: Path) -> None:
    path = published / "model.json"
    body = tmp_path / "outside"
    body.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(body)
    with pytest.raises(BundleRefused, match=r"model\.json"):
        opened(published)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BundleRefused, match="no plain file"):
        opened(published)


def test_a_linked_folder_and_a_version_that_is_a_path_are_refused(published: Path) -> None:
    link = published.with_name("8")
    link.symlink_to(published)
    for path, version in ((link, "8"), (published / "..", ".."), (published, "../7"), (published, "")):
        with pytest.raises(BundleRefused):
            opened(path, version)


def test_a_huge_file_is_refused_before_it_is_read(published: Path) -> None:
    for name in ("model.json", MANIFEST):
        with (published / name).open("r+b") as file:
            file.truncate(1 << 40)
        with pytest.raises(BundleRefused, match="plain file of at most"):
            opened(published)


def test_publishing_the_same_again_changes_nothing_and_another_content_is_refused(published: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in published.iterdir()}
    assert bundle.write(published.parent, info(), CONTENT, signer=SIGNER) == published
    assert {path.name: path.stat().st_mtime_ns for path in published.iterdir()} == before
    with pytest.raises(BundleExists):
        bundle.write(published.parent, info(), {**CONTENT, "model.json": b"{}"}, signer=SIGNER)
    assert opened(published).files["model.json"] == CONTENT["model.json"]


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "_sync_folder", full)
    with pytest.raises(OSError, match="No space"):
        bundle.write(tmp_path, info(), CONTENT, signer=SIGNER)
    assert list(tmp_path.iterdir()) == []


def test_only_the_files_of_a_bundle_can_be_published(tmp_path: Path) -> None:
    for files in ({**CONTENT, "model.pkl": b""}, {"model.json": b"{}"}):
        with pytest.raises(ValueError, match="a bundle consists of"):
            bundle.write(tmp_path, info(), files, signer=SIGNER)
