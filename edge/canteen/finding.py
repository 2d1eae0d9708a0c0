"""Finding a pupil by words that somebody typed, with or without accents, or by the class. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from protocol.countersheet import Eater
from protocol.names import class_order, folded, found_by, name_order, spelled

LIMIT_MAX: Final = 50
WORDS_MAX: Final = 8
CHARACTERS_MAX: Final = 100
KEYS: Final = {
    letter: digit
    for digit, letters in zip("23456789", ("abc", "def", "ghi", "jkl", "mno", "pqrs", "tuv", "wxyz"), strict=True)
    for letter in letters
}
"""The letters on a phone's keys (ITU-T E.161): so a numeric keypad types a name, or the class 3A as 32."""
_PLAIN: Final = re.compile(r"[^a-z0-9]")


@dataclass(frozen=True, slots=True)
class _Known:
    """A pupil, the words of the name without accents and as keys, and the class as it may be typed."""

    eater: Eater
    words: tuple[str, ...]
    keys: tuple[str, ...]
    classes: frozenset[str]


class Finder:
    """An index of pupils, made once for a sheet."""

    def __init__(self, eaters: Iterable[Eater]) -> None:
        """Sorted as lists are: by given name, then the others, then the class."""
        ordered = sorted(eaters, key=lambda one: (name_order(one.name), class_order(one.school_class)))
        self._known = tuple(
            # 3/2 is 32 on a numeric keypad.
            _Known(one, words, tuple(map(as_keys, words)), frozenset((plain, _PLAIN.sub("", plain), as_keys(plain))))
            for one in ordered
            for plain, words in ((folded(one.school_class), tuple(folded(one.name).split(" "))),)
        )
        self._students = frozenset(one.student for one in ordered)

    def knows(self, student: str) -> bool:
        """Whether a pupil of this key is in it."""
        return student in self._students

    def find(self, words: str, limit: int, first: Callable[[Eater], bool]) -> Sequence[Eater]:
        """Up to `limit` pupils for whom each word begins one of the name or is the class.

        Those of a class that was typed come first, class by class: a keypad's digits begin many names besides. Then,
        and within a class, those of `first`.
        """
        asked = spelled(words[:CHARACTERS_MAX]).split(" ")[:WORDS_MAX]
        plain = [(folded(word), word) for word in asked if word]
        if not plain:
            return ()
        found = [known for known in self._known if all(_fits(known, *word) for word in plain)]

        def place(known: _Known) -> tuple[bool, tuple[object, ...], bool]:
            of_class = any(word in known.classes for word, _ in plain)
            return not of_class, class_order(known.eater.school_class) if of_class else (), not first(known.eater)

        return tuple(known.eater for known in sorted(found, key=place)[: max(1, min(LIMIT_MAX, limit))])


def as_keys(plain: str) -> str:
    """A text without accents as the keys of a phone that type it: `dang` is 3264, `3a` is 32, `3/2` too."""
    return "".join(KEYS.get(mark, mark if mark.isdecimal() else "") for mark in plain)


def _fits(known: _Known, plain: str, typed: str) -> bool:
    if plain in known.classes:
        return True
    if plain.isdecimal() and any(keys.startswith(plain) for keys in known.keys):
        return True
    if not any(word.startswith(plain) for word in known.words):
        return False
    # Without accents that is all; with some, a look at each letter, which takes longer.
    return typed.casefold() == plain or found_by(typed, known.eater.name)
