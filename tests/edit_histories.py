"""Random histories of edits of one preference field: devices that meet now and then, and some that say nonsense."""

from random import Random

from domain.preference_sync import NOTHING, Edit, Field, merged, seen, standing, with_edits

DEVICES = ("phone", "laptop", "desk")


def honest(chance: Random, length: int) -> list[Edit]:
    """Edits of devices that tell truly what they had seen, each on its own copy, meeting now and then."""
    copies: dict[str, Field] = dict.fromkeys(DEVICES, NOTHING)
    counts = dict.fromkeys(DEVICES, 0)
    edits = []
    for _ in range(length):
        device = DEVICES[int(chance.random() * 3)]
        if chance.random() < 0.4:
            copies[device] = merged(copies[device], copies[DEVICES[int(chance.random() * 3)]])
        counts[device] += 1
        edit = _edit(chance, device, counts[device], seen(copies[device]))
        copies[device] = with_edits(copies[device], (edit,))
        edits.append(edit)
    return edits


def careless(chance: Random, length: int) -> list[Edit]:
    """Edits whose numbers repeat and whose vectors claim anything: a device restored from a backup, or a liar."""
    return [
        _edit(
            chance,
            DEVICES[int(chance.random() * 3)],
            1 + int(chance.random() * 3),
            tuple((device, number) for device in DEVICES if (number := int(chance.random() * 4))),
        )
        for _ in range(length)
    ]


def _edit(chance: Random, device: str, number: int, known: tuple[tuple[str, int], ...]) -> Edit:
    draw = int(chance.random() * 256)
    return Edit(device, number, known, draw % 3 == 0, draw % 2 == 0, draw >> 4, "ab"[draw & 1])


def knew(later: Edit, earlier: Edit) -> bool:
    """Tell whether one edit was made knowing another."""
    own = later.number - 1 if later.device == earlier.device else 0
    return max(own, dict(later.seen).get(earlier.device, 0)) >= earlier.number


def fault(chance: Random, edits: list[Edit]) -> str | None:
    """Return what is wrong with how a history comes out, None when nothing is."""
    whole = with_edits(NOTHING, edits)
    late = edits + edits[: len(edits) // 2]
    chance.shuffle(late)
    if with_edits(NOTHING, late) != whole:
        return "another order, with repetitions, comes out differently"
    cut = len(late) // 2
    if merged(with_edits(NOTHING, late[cut:]), with_edits(NOTHING, late[:cut])) != whole:
        return "two copies that met come out differently"
    holds = standing(whole)
    if holds is None:
        return "something was said, and nothing holds"
    return None if holds.denies else _resurrected(edits)


def _resurrected(edits: list[Edit]) -> str | None:
    lifting = [edit for edit in edits if edit.denies or edit.is_act]
    for denial in edits:
        if denial.denies and not any(knew(later, denial) for later in lifting):
            return "a denial was lifted, and neither the recipient nor a later denial knew of it"
    return None
