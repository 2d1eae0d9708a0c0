"""Vietnamese names of people and classes: one spelling, the order that lists have, search without accents.

Code points and SQLite order them wrongly (Đ behind Z, ă behind z), and taking accents off deletes Đ.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

LETTERS: Final = "aăâbcdđeêfghijklmnoôơpqrstuưvwxyz"
"""The Vietnamese alphabet with the Latin letters that foreign names add, in dictionary order (CLDR, root and vi)."""
TONES: Final = {"\u0300": 1, "\u0309": 2, "\u0303": 3, "\u0301": 4, "\u0323": 5}
"""Combining mark -> its place behind none (ngang): huyền, hỏi, ngã, sắc, nặng (CLDR vi)."""
_RANKS: Final = {letter: rank for rank, letter in enumerate(LETTERS, 1)}
_FOREIGN: Final = 1000
"""Ranks of letters that the alphabet hasn't stand behind it."""
_PIECES: Final = re.compile(r"(\d+)")
_PLAIN: Final = str.maketrans("đĐ", "dD")

WORDS_REMEMBERED: Final = 4_096
"""Names of a school share their words: 2,000 pupils have some 800."""

Word = tuple[tuple[int, ...], tuple[int, ...]]
"""A word's letters and tones, as they compare: all letters before any tone."""


def spelled(text: str) -> str:
    """The one form in which a name is kept: NFC, single spaces, none around it."""
    return " ".join(unicodedata.normalize("NFC", text).split())


@lru_cache(WORDS_REMEMBERED)
def name_order(name: str) -> tuple[Word, tuple[Word, ...], str]:
    """The key by which lists of people sort: given name, which is the last word, then family and middle names."""
    *others, given = spelled(name).split(" ")
    return _word(given), tuple(map(_word, others)), name


@lru_cache(WORDS_REMEMBERED)
def class_order(name: str) -> tuple[tuple[int, int | Word], ...]:
    """The key by which classes sort: numbers as numbers, so that 8.2 stands before 8.11 and 3/2 before 10A1."""
    pieces = _PIECES.split(spelled(name))
    return tuple((0, int(piece)) if piece.isdecimal() else (1, _word(piece)) for piece in pieces if piece)


def folded(text: str) -> str:
    """A name without accents and capitals, for search: `Đặng Hoà` is `dang hoa`."""
    apart = unicodedata.normalize("NFD", spelled(text).translate(_PLAIN))
    return "".join(mark for mark in apart if not unicodedata.combining(mark)).casefold()


def found_by(query: str, name: str) -> bool:
    """Whether each word that somebody typed begins a word of the name; accents count only where they were typed.

    Where a tone stands in a syllable is a matter of habit: hoà is hòa.
    """
    words = [(folded(word), _word(word)) for word in spelled(name).split(" ")]
    return all(any(_begins(asked, *word) for word in words) for asked in spelled(query).split(" "))


def _begins(asked: str, plain: str, word: Word) -> bool:
    wanted = folded(asked)
    if not plain.startswith(wanted):
        return False
    if wanted == asked.casefold():
        return True
    letters, tones = _word(asked)
    return word[0][: len(letters)] == letters and (not any(tones) or word[1] == tones)


@lru_cache(WORDS_REMEMBERED)
def _word(word: str) -> Word:
    letters: list[int] = []
    tones: list[int] = []
    for character in unicodedata.normalize("NFC", word).casefold():
        apart = unicodedata.normalize("NFD", character)
        tones += [TONES[mark] for mark in apart if mark in TONES]
        bare = unicodedata.normalize("NFC", "".join(mark for mark in apart if mark not in TONES))
        letters += [_RANKS.get(letter, _FOREIGN + ord(letter)) for letter in bare]
    return tuple(letters), tuple(sorted(tones)) or (0,)
