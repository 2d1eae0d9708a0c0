"""Namesakes: pupils of one name in one class, told apart by birth date, or by the end of a code; nobody else is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from protocol.names import spelled

if TYPE_CHECKING:
    from hub.attendance.schoolday import Pupil
    from hub.store.peoplerows import Person

END_MIN: Final = 4
"""Characters of a code's end that are shown at least."""


def called(
    pupils: Iterable[Pupil | Person], find: Callable[[str], Person | None], *, births: bool
) -> Mapping[str, str]:
    """How each pupil is called on a page, by key: the name, with what tells them apart where a class has two of it.

    `find` gives what is known of a pupil; to be asked with the database's lock. `births`: whoever looks may see a birth
    date; else, and where one is missing or the same, it is the end of the school's code, or of the hub's own key.
    """
    groups: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for pupil in pupils:
        groups[pupil.school_class, spelled(pupil.name).casefold()][pupil.key] = pupil.name
    found: dict[str, str] = {}
    for mine in groups.values():
        signs = _signs([person for key in mine if (person := find(key)) is not None], births) if len(mine) > 1 else {}
        found |= {key: f"{name} ({signs[key]})" if key in signs else name for key, name in mine.items()}
    return found


def _signs(people: list[Person], births: bool) -> dict[str, str]:
    days = {person.key: f"{person.birth:%d/%m/%Y}" for person in people if person.birth is not None}
    if births and len(set(days.values())) == len(people):
        return days
    codes = {person.key: person.code for person in people if person.code is not None}
    return _ends(codes if len(set(codes.values())) == len(people) else {person.key: person.key for person in people})


def _ends(texts: Mapping[str, str]) -> dict[str, str]:
    """The shortest ends by which different texts differ."""
    length = END_MIN
    while len({text[-length:] for text in texts.values()}) < len(texts):
        length += 1
    return {key: text if len(text) <= length else f"…{text[-length:]}" for key, text in texts.items()}
