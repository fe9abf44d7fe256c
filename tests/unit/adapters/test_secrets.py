"""Secrets: made once, kept from others, and opened only under the name they were sealed for."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters.secrets import KEY_FILE, CannotOpen, SecretBox
from adapters.settings import Settings


def test_the_first_start_makes_a_key_only_its_owner_can_read(tmp_path):
    first = SecretBox.of(Settings(data_dir=tmp_path / "new"))
    assert stat.S_IMODE((tmp_path / "new" / KEY_FILE).stat().st_mode) == 0o600
    assert first.key("a") == SecretBox.of(Settings(data_dir=tmp_path / "new")).key("a")


def test_many_first_starts_at_once_agree_on_one_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: SecretBox.of(Settings(data_dir=tmp_path)).key("a"), range(32)))
    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_two_installations_share_no_key(tmp_path):
    one, other = (SecretBox.of(Settings(data_dir=tmp_path / name)) for name in "ab")
    assert one.key("a") != other.key("a")


def test_what_is_sealed_opens_again_and_never_looks_the_same(tmp_path):
    box = SecretBox.of(Settings(data_dir=tmp_path))
    assert box.unseal("x", box.seal("x", b"plain")) == b"plain"
    assert box.seal("x", b"plain") != box.seal("x", b"plain")


@pytest.mark.parametrize(
    "spoil", [lambda s: s[:-1], lambda s: s[:5], lambda s: bytes([s[0] ^ 1]) + s[1:], lambda s: s[:0]]
)
def test_spoilt_bytes_are_refused(spoil):
    box = SecretBox(bytes(32))
    with pytest.raises(CannotOpen):
        box.unseal("x", spoil(box.seal("x", b"plain")))


def test_another_name_or_another_master_key_does_not_open():
    sealed = SecretBox(bytes(32)).seal("x", b"plain")
    for box, name in ((SecretBox(bytes(32)), "y"), (SecretBox(b"1" * 32), "x")):
        with pytest.raises(CannotOpen):
            box.unseal(name, sealed)
