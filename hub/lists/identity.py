"""Identity: whether a line found by an id speaks of that id's pupil, or of somebody else under it. Pure.

Codes that slipped against the names give cards, marks and keys to another child, so the line is bad

- where its name and birth date are another known pupil's;
- where neither agrees with the id's pupil. A name agrees by family name and given name; tones and accents don't count;
- where somebody is said to have left without a birth date, and the name doesn't agree;
- where a birth date isn't known, and it has the name of another pupil whom the same list gives another name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from hub.lists.known import KnownPupil
from hub.lists.lines import PupilLine
from hub.lists.matching import Match
from protocol.names import folded


class Owners:
    """See the room; of one list beside what is known."""

    def __init__(self, known: Sequence[KnownPupil], found: Sequence[Match]) -> None:
        """Take all names."""
        self._by_name: dict[str, list[KnownPupil]] = defaultdict(list)
        for pupil in known:
            self._by_name[folded(pupil.name)].append(pupil)
        self._renamed = {
            before.key
            for line, before, _ in found
            if before is not None and line.name is not None and folded(line.name) != folded(before.name)
        }

    def instead(self, before: KnownPupil, line: PupilLine) -> tuple[str, ...]:
        """Whom a line under `before`'s id would touch, `before` first; empty where it speaks of `before`."""
        if line.name is None or _agrees_wholly(before, line):
            return ()
        name, own = folded(line.name), folded(before.name)
        others = [pupil for pupil in self._by_name.get(name, ()) if pupil.key != before.key]
        theirs = [pupil.key for pupil in others if _is_theirs(pupil, before, line)]
        if theirs:
            return (before.key, *theirs)
        if line.state == "left" and line.birth is None:
            # No later line puts it right: whoever is taken off by mistake is let in nowhere.
            return () if _ends(name) == _ends(own) else (before.key,)
        if line.birth is None or before.birth is None:
            moved = [pupil.key for pupil in others if pupil.key in self._renamed and _may_be_born(pupil, line)]
            return (before.key, *moved) if moved and name != own else ()
        return () if line.birth == before.birth or _ends(name) == _ends(own) else (before.key,)


def _agrees_wholly(before: KnownPupil, line: PupilLine) -> bool:
    return line.name is not None and line.name.casefold() == before.name.casefold() and line.birth == before.birth


def _is_theirs(other: KnownPupil, before: KnownPupil, line: PupilLine) -> bool:
    """Whether name and birth date are another's; of twins whom only accents tell apart, by the accents."""
    if line.name is None or line.birth is None or other.birth != line.birth:
        return False
    as_before = before.birth == line.birth and folded(before.name) == folded(line.name)
    return not as_before or other.name.casefold() == line.name.casefold()


def _may_be_born(pupil: KnownPupil, line: PupilLine) -> bool:
    return line.birth is None or pupil.birth in (None, line.birth)


def _ends(name: str) -> tuple[str, str]:
    """Family name and given name."""
    words = name.split(" ")
    return words[0], words[-1]
