"""People: the pupils of whatever file somebody brings, told by what is in it; the one door for all lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Literal

from hub.lists.books import open_zip
from hub.lists.cells import shown
from hub.lists.columns import Template
from hub.lists.faults import Fault, ListRefused
from hub.lists.lines import PupilLine
from hub.lists.oneroster import read_oneroster
from hub.lists.pupils import read_pupils
from hub.lists.reading import Listed, read_list
from hub.lists.sheets import ZIP, checked, read_sheets, text_of
from hub.lists.templates import TEMPLATES
from hub.roster import HEADER, RosterRefused, RosterRow, parse_roster

PeopleKind = Literal["pupils", "oneroster", "roster", "unknown"]
LINE_CHARACTERS_MAX: Final = 300
_LINE: Final = re.compile(r"\s*line (\d{1,6}): ")
BOOK_FOLDER: Final = b"xl/"
ONEROSTER: Final = b"manifest.csv"


@dataclass(frozen=True, slots=True)
class People:
    """What a file says of pupils. With a fault that `stops`, nothing of it may be written.

    `kind`: a sheet of pupils such as C1-HocSinh, a OneRoster zip, our own roster with cards, or not to be told.
    `complete`: the list claims to be whole, so that who isn't in it is missing. `ignored`: columns that were not taken.
    """

    source: str
    kind: PeopleKind
    pupils: tuple[PupilLine, ...]
    faults: tuple[Fault, ...]
    complete: bool
    ignored: tuple[str, ...] = ()
    sheets: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing stops it."""
        return not any(fault.stops for fault in self.faults)


def read_people(name: str, octets: bytes, today: date) -> People:
    """Read a file by what it holds, whatever its name says. Never raises: what is wrong is a fault."""
    kind: PeopleKind = "unknown"
    try:
        checked(name, octets)
        if octets.startswith(ZIP) and ONEROSTER in octets and BOOK_FOLDER not in octets:
            kind = "oneroster"
            delivery = read_oneroster(name, open_zip(name, octets), today)
            return People(
                name, kind, delivery.lines, delivery.faults, delivery.complete, delivery.ignored, delivery.sheets
            )
        if _is_our_roster(octets):
            kind = "roster"
            return People(name, kind, with_cards(name, parse_roster(name, text_of(name, octets))), (), True)
        book = read_sheets(name, octets)
    except ListRefused as refused:
        return People(name, kind, (), (refused.fault,), False)
    except RosterRefused as refused:
        return People(name, kind, (), tuple(_faults_of(name, str(refused))), False)
    listed = read_pupils(name, book.sheets, today, book.hidden)
    kind = "pupils" if listed.sheets else "unknown"
    return People(name, kind, listed.lines, listed.faults, listed.sound, listed.ignored, listed.sheets)


def read_other(template: Template, name: str, octets: bytes, today: date) -> Listed[Any]:
    """Any other list that a school fills in, as its template has it. Never raises: what is wrong is a fault."""
    try:
        book = read_sheets(name, octets)
    except ListRefused as refused:
        return Listed(name, template.name, (), (refused.fault,))
    others = [other for other in TEMPLATES.values() if other is not template]
    return read_list(template, name, book.sheets, today, book.hidden, others)


def _is_our_roster(octets: bytes) -> bool:
    head = octets[:512].removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
    return [cell.strip() for cell in head.split(b",")] == [word.encode() for word in HEADER]


def with_cards(name: str, rows: Sequence[RosterRow]) -> tuple[PupilLine, ...]:
    """One line a pupil of the file `name`, with all their cards."""
    cards: dict[str, list[str]] = {}
    first: dict[str, RosterRow] = {}
    for row in rows:
        first.setdefault(row.pupil_key, row)
        cards.setdefault(row.pupil_key, []).extend([row.card] if row.card is not None else [])
    return tuple(
        PupilLine(
            row.display_name,
            row.school_class or None,
            key=key,
            cards=tuple(cards[key]),
            where=f"{name}, {row.line}",
        )
        for key, row in first.items()
    )


def _faults_of(name: str, text: str) -> list[Fault]:
    """What `parse_roster` says, line by line; its first line counts them."""
    head, *lines = text.split("\n")
    faults = []
    for line in lines or [head]:
        place = _LINE.match(line)
        said = shown(line[place.end() :] if place else line, LINE_CHARACTERS_MAX)
        faults.append(Fault("roster", row=int(place[1]) if place else 0, said=said, file=name))
    return faults
