"""The key-encryption keys: made once, private, several at once, and found when another process adds one."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapters.keyring import KEYRING_FILE, BadKeyring, GivenBySettings, Keyring
from adapters.secrets import CannotOpen
from adapters.settings import Settings

ONE, OTHER = f"one:{'1' * 64}", f"other:{'2' * 64}"


def test_many_first_starts_agree_on_one_keyring_that_only_its_owner_can_read(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda _: Keyring.of(Settings(data_dir=tmp_path / "new")).current, range(32)))
    assert len(ids) == 1
    assert [path.name for path in (tmp_path / "new").iterdir()] == [KEYRING_FILE]
    assert stat.S_IMODE((tmp_path / "new" / KEYRING_FILE).stat().st_mode) == 0o600


def test_a_new_key_wraps_and_the_old_one_still_opens(settings):
    keyring = Keyring.of(settings)
    old, wrapped = keyring.wrap(b"d" * 32, b"here")
    new = keyring.add()
    assert keyring.wrap(b"d" * 32, b"here")[0] == new != old
    assert keyring.unwrap(old, wrapped, b"here") == b"d" * 32
    assert keyring.ids == (new, old)
    assert stat.S_IMODE((settings.data_dir / KEYRING_FILE).stat().st_mode) == 0o600


def test_a_process_that_runs_finds_the_key_another_one_added(settings):
    running = Keyring.of(settings)
    before = running.current
    name = (other := Keyring.of(settings)).add()
    _, wrapped = other.wrap(b"d" * 32, b"here")
    assert running.unwrap(name, wrapped, b"here") == b"d" * 32
    assert running.current == name != before


def test_a_key_in_use_cannot_be_removed_and_a_removed_one_opens_nothing(settings):
    keyring = Keyring.of(settings)
    old, wrapped = keyring.wrap(b"d" * 32, b"here")
    with pytest.raises(ValueError, match="wraps now"):
        keyring.remove(old)
    keyring.add()
    keyring.remove(old)
    with pytest.raises(CannotOpen, match=old):
        keyring.unwrap(old, wrapped, b"here")


@pytest.mark.parametrize("spoil", [lambda w: w[:-1], lambda w: w[:0], lambda w: bytes([w[0] ^ 1]) + w[1:]])
def test_a_wrapped_key_that_was_changed_or_moved_does_not_open(spoil):
    keyring = Keyring.given(ONE)
    name, wrapped = keyring.wrap(b"d" * 32, b"here")
    with pytest.raises(CannotOpen):
        keyring.unwrap(name, spoil(wrapped), b"here")
    with pytest.raises(CannotOpen):
        keyring.unwrap(name, wrapped, b"there")


def test_keys_of_the_settings_come_first_and_are_not_ours_to_change(tmp_path):
    keyring = Keyring.of(Settings(data_dir=tmp_path, key_encryption_keys=f"{OTHER},{ONE}"))
    assert (keyring.current, keyring.ids, keyring.current_since) == ("other", ("other", "one"), None)
    for change in (keyring.add, lambda: keyring.remove("one")):
        with pytest.raises(GivenBySettings):
            change()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("written", ["", "one", "one:12", f"{ONE},{ONE}", f":{'1' * 64}", f"one:{'g' * 64}"])
def test_keys_that_cannot_be_read_are_refused_without_being_shown(written):
    with pytest.raises(BadKeyring) as caught:
        Keyring.given(written)
    assert "1111" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["{", "{}", json.dumps({"current": "x", "keys": []}), json.dumps({"current": "x", "keys": [{"id": "x"}]})]
)
def test_a_damaged_file_stops_the_start_and_is_left_as_it_is(settings, text):
    (settings.data_dir / KEYRING_FILE).write_text(text)
    with pytest.raises(BadKeyring, match=KEYRING_FILE):
        Keyring.of(settings)
    assert (settings.data_dir / KEYRING_FILE).read_text() == text
