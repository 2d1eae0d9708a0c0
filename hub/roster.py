"""The roster: pupils and their cards as read from a CSV, whole or not at all, and what each station kind is told."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from hub.fitting import PROBLEMS, dated_class, name_problem, unfit
from protocol.cardforms import PartialPlan
from protocol.cards import CardKey, CardUid, parse_card, suspicion
from protocol.errors import CardNumberError, NeedsHands
from protocol.names import spelled
from protocol.roster import COLUMNS, Release

HEADER: Final = ("pupil_key", "display_name", "class", "card_uid")
PUPIL_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
PERSONAL_NUMBER: Final = re.compile(r"\d{12}")
"""A Vietnamese personal number has 12 digits (Law on Identification 26/2023/QH15); it must not travel."""
NAME_CHARACTERS_MAX: Final = 120
CLASS_CHARACTERS_MAX: Final = 40
ROWS_MAX: Final = 20_000
ERRORS_SHOWN: Final = 20


class RosterRefused(NeedsHands):
    """The file isn't a roster; every line that is wrong is named, and nothing was changed."""

    code = "roster-refused"
    hint = "Correct the lines named and import the file again; the last release stays in force."


@dataclass(frozen=True, slots=True)
class RosterRow:
    """A pupil with one of their cards, or with none (`card` is a canonical form); `line` of the file, 0: of none."""

    pupil_key: str
    display_name: str
    school_class: str
    card: str | None
    line: int = field(default=0, compare=False)


def roster_text(name: str, octets: bytes) -> str:
    """The text of a file, with or without a byte order mark; raises RosterRefused."""
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise RosterRefused(f"{name} is not UTF-8: {problem.reason} at byte {problem.start}") from problem


def parse_roster(name: str, text: str) -> tuple[RosterRow, ...]:
    """The rows of a roster's text; raises RosterRefused naming the lines."""
    # Lines as a spreadsheet counts them: by line breaks only, not by the other separators of Unicode.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[RosterRow] = []
    errors: list[str] = []
    try:
        header = next(reader, [])
        if tuple(cell.strip() for cell in header) != HEADER:
            raise RosterRefused(f"{name}, line 1: the header must be {','.join(HEADER)}")
        known = _Known({}, {})
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(rows) >= ROWS_MAX:
                raise RosterRefused(f"{name}, line {reader.line_num}: more than {ROWS_MAX} rows")
            row = known.row(cells, reader.line_num)
            if isinstance(row, str):
                errors.append(f"line {reader.line_num}: {row}")
            else:
                rows.append(row)
    except csv.Error as problem:
        raise RosterRefused(f"{name}, line {reader.line_num}: not CSV: {problem}") from problem
    if errors:
        more = f"\n  and {len(errors) - ERRORS_SHOWN} more" if len(errors) > ERRORS_SHOWN else ""
        raise RosterRefused(f"{name}: {len(errors)} wrong lines\n  " + "\n  ".join(errors[:ERRORS_SHOWN]) + more)
    if not rows:
        raise RosterRefused(f"{name} names no pupil")
    return tuple(rows)


@dataclass(slots=True)
class _Known:
    """What earlier lines said: card -> line, pupil -> (line, name, class)."""

    cards: dict[str, int]
    pupils: dict[str, tuple[int, str, str]]

    def row(self, cells: Sequence[str], line: int) -> RosterRow | str:
        """The row, or what is wrong with the line."""
        if len(cells) != len(HEADER):
            return f"{len(cells)} columns, {len(HEADER)} expected"
        key, name, school_class, number = (cell.strip() for cell in cells)
        if any(ord(character) < 32 for character in name + school_class):
            return "a name or class holds a control character"
        name, school_class = spelled(name), spelled(school_class)
        wrong = _wrong(key, name, school_class)
        if wrong is not None:
            return wrong
        before = self.pupils.setdefault(key, (line, name, school_class))
        if before[1:] != (name, school_class):
            return f"pupil {key} has another name or class than on line {before[0]}"
        card: CardUid | None = None
        if number:
            try:
                card = parse_card(number)
            except CardNumberError as problem:
                return str(problem)
            if suspicion(card) is not None:
                return f"card {number} can't name a pupil: it is drawn anew at each reading, or was misread"
            if card.canonical in self.cards:
                return f"the card stands on line {self.cards[card.canonical]} already"
            self.cards[card.canonical] = line
        return RosterRow(key, name, school_class, None if card is None else card.canonical, line)


def _wrong(key: str, name: str, school_class: str) -> str | None:
    if not PUPIL_KEY.fullmatch(key):
        return f"pupil_key {key[:70]!r} is not 1 to 64 letters, digits, - or _"
    if PERSONAL_NUMBER.fullmatch(key):
        return "pupil_key is a 12-digit personal number, which must not travel; use the school's own key"
    if not name or len(name) > NAME_CHARACTERS_MAX:
        return f"display_name is empty or longer than {NAME_CHARACTERS_MAX} characters"
    if len(school_class) > CLASS_CHARACTERS_MAX:
        return f"class is longer than {CLASS_CHARACTERS_MAX} characters"
    # The name itself isn't quoted: what is refused stands in logs.
    problem = unfit(name) or name_problem(name)
    if problem is not None:
        return f"display_name {PROBLEMS[problem][1]}"
    problem = "class-is-date" if dated_class(school_class) else unfit(school_class)
    return None if problem is None else f"class {PROBLEMS[problem][1]}"


def release_name(number: int, made_ms: int) -> str:
    """`r-<UTC time>-<number>`."""
    return f"r-{datetime.fromtimestamp(made_ms // 1000, UTC):%Y%m%dT%H%M%SZ}-{number}"


def release_for(
    kind: str,
    rows: Iterable[RosterRow],
    keys: Sequence[CardKey],
    school: str,
    number: int,
    name: str,
    partials: Sequence[PartialPlan] = (),
    lost: Iterable[str] = (),
) -> Release:
    """What stations of one kind are told: each card under each key, with the columns of that kind only.

    `partials` are the parts of numbers that the school's readers hand over: each card stands under its parts, too, and
    a part that the cards of two pupils share is `ambiguous`. `lost`: cards that are refused; a part that may be a
    pupil's card is not.
    """
    cards: dict[str, list[str]] = {}
    blocked: dict[str, str] = {}
    for gone in lost:
        card = parse_card(gone)
        parts = [plan.listed(part) for plan in partials if (part := plan.of(card)) is not None]
        blocked |= {key.keyed_text(text): "lost" for key in keys for text in (card.canonical, *parts)}
    for text, owners in listed(rows, partials).items():
        if len({owner.pupil_key for owner in owners}) > 1:
            blocked |= {key.keyed_text(text): "ambiguous" for key in keys}
            continue
        for key in keys:
            blocked.pop(key.keyed_text(text), None)
        row = owners[0]
        told = {"student": row.pupil_key, "display_name": row.display_name, "class": row.school_class}
        columns = [told[column] for column in COLUMNS[kind]]
        cards |= {key.keyed_text(text): columns for key in keys}
    return Release(name, number, school, kind, [key.number for key in keys], cards, blocked)


def listed(rows: Iterable[RosterRow], partials: Sequence[PartialPlan]) -> dict[str, list[RosterRow]]:
    """The text under which each number of a release is listed -> the rows of the cards that it may be.

    A whole number's is its canonical form, a part's is its plan's (PartialPlan.listed): what a reader of one byte order
    shows is no reader's of the other.
    """
    found: dict[str, list[RosterRow]] = {}
    for row in rows:
        if row.card is not None:
            card = parse_card(row.card)
            found.setdefault(card.canonical, []).append(row)
            for plan in partials:
                part = plan.of(card)
                if part is not None:
                    found.setdefault(plan.listed(part), []).append(row)
    return found


def by_number(rows: Iterable[RosterRow], partials: Sequence[PartialPlan]) -> dict[str, list[RosterRow]]:
    """Every number that a reader may hand over -> the rows of the cards that it may be."""
    found: dict[str, list[RosterRow]] = {}
    for row in rows:
        if row.card is not None:
            card = parse_card(row.card)
            numbers = {card.canonical, *(part.canonical for plan in partials if (part := plan.of(card)) is not None)}
            for number in numbers:
                found.setdefault(number, []).append(row)
    return found
