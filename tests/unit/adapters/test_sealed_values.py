"""The envelope of sealed values by itself: nothing changed or moved ever opens, and no nonce comes twice."""

import secrets
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from adapters.keyring import KEY_BYTES, NONCE_BYTES
from adapters.postgres.subject_keys import Place, _bound_to, _DataKey, _encrypt, _opened, _Subject
from adapters.secrets import CannotOpen
from domain.tenants import Tenant

CASES = 100_000
ENCRYPTIONS = 1_000_000
HEAD = 9
"""Bytes before the nonce: the format and the id of the data key."""
TENANTS = [Tenant(tenant=name, display_name=name, subject_secret=name.encode() * 16) for name in ("aa", "bb")]
PLACES = [
    Place(recipient, table, column, version)
    for recipient in ("r", "s", None)
    for table in ("profile", "preference")
    for column in ("document", "sealed")
    for version in (1, 2, "x|1")
]


def a_key(*, is_retired: bool = False) -> _DataKey:
    return _DataKey(secrets.token_hex(8), secrets.token_bytes(KEY_BYTES), is_retired=is_retired)


@pytest.fixture(scope="module")
def sealed():
    """Every place of two tenants with its own value; each subject has an old key too. Returns what opens them."""
    subjects = {
        (t.tenant, who): _Subject([a_key(is_retired=True), a_key()]) for t in TENANTS for who in ("r", "s", None)
    }
    made = []
    for tenant in TENANTS:
        for place in PLACES:
            subject = subjects[tenant.tenant, place.recipient_id]
            bound = _bound_to(tenant, str(place.recipient_id), place)
            plain = f"{tenant.tenant} {place}".encode()
            made += [(subject, bound, plain, key, _encrypt(key, bound, plain)) for key in subject.keys]
    return made


def test_every_value_opens_in_its_own_place_under_its_old_key_and_its_new_one(sealed):
    assert all(_opened(subject, bound, value) == plain for subject, bound, plain, _, value in sealed)


def another_place(value, other, other_key, dice):
    return other


def a_flipped_bit(value, other, other_key, dice):
    at = int(dice.integers(8 * len(value)))
    return value[: at // 8] + bytes([value[at // 8] ^ 1 << at % 8]) + value[at // 8 + 1 :]


def a_cut_tag(value, other, other_key, dice):
    return value[: -int(dice.integers(1, 40))]


def anothers_key_id(value, other, other_key, dice):
    return value[:1] + bytes.fromhex(other_key.key_id) + value[HEAD:]


def an_unknown_key_id(value, other, other_key, dice):
    return value[:1] + secrets.token_bytes(8) + value[HEAD:]


def anothers_nonce(value, other, other_key, dice):
    return value[:HEAD] + other[HEAD : HEAD + NONCE_BYTES] + value[HEAD + NONCE_BYTES :]


SPOILT = (another_place, a_flipped_bit, a_cut_tag, anothers_key_id, an_unknown_key_id, anothers_nonce)


@pytest.mark.parametrize("spoil", SPOILT)
def test_of_a_hundred_thousand_changed_or_moved_values_none_opens(sealed, spoil):
    """A sixth of them each; values are moved between subjects, tenants, tables, columns and versions of rows."""
    dice, tried, opened = np.random.default_rng(20261126), 0, []
    while tried < CASES // len(SPOILT) + 1:
        one, two = dice.integers(len(sealed), size=2)
        subject, bound, plain, key, value = sealed[one]
        _, _, other_plain, other_key, other = sealed[two]
        # The plain text names the place: what the value is bound to is what is on trial here.
        if plain == other_plain or (key is other_key and spoil is anothers_key_id):
            continue
        tried += 1
        try:
            opened.append((plain, _opened(subject, bound, spoil(value, other, other_key, dice))))
        except CannotOpen:
            continue
    assert opened == []


SCRIPT = """
import os, sys
from pathlib import Path
from adapters.postgres.subject_keys import _DataKey, _encrypt
key, folder, each = _DataKey("00" * 8, bytes(32)), Path(sys.argv[1]), int(sys.argv[2])
_encrypt(key, b"", b"")  # whatever state there is, all of them begin with it
for name in ("first", "second", "third"):
    if os.fork() == 0:
        break
else:
    name = "parent"
(folder / name).write_bytes(b"".join(_encrypt(key, b"", b"")[9:21] for _ in range(each)))
if name == "parent":
    for _ in range(3):
        assert os.wait()[1] == 0
"""


def test_of_a_million_nonces_none_comes_twice_whoever_was_forked_or_restored_from_one_state(tmp_path: Path):
    """Three processes forked from one state are one snapshot restored three times; their parent goes on as well."""
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path), str(ENCRYPTIONS // 4)], check=True)
    nonces = b"".join((tmp_path / name).read_bytes() for name in ("parent", "first", "second", "third"))
    each = np.frombuffer(nonces, dtype=f"V{NONCE_BYTES}")
    assert len(each) == ENCRYPTIONS
    assert len(set(each.tolist())) == ENCRYPTIONS
