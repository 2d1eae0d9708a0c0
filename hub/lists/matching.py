"""Matching: which known pupil a line of a list speaks of, and by what they were found. Pure.

Our key decides, else the city's id, else the school's code, else name, birth date and class, where exactly one pupil
and one line have them. Whoever can't be told apart is a person's question.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from hub.lists.known import KnownPupil, class_on
from hub.lists.lines import PupilLine

MatchedBy = Literal["key", "city-id", "code", "name"]
BadReason = Literal["another-person", "id-taken", "matched-twice", "unclear", "unknown-pupil"]
"""`another-person`: an id whose name and birth date are somebody else's (hub.lists.identity); `id-taken`: two pupils
would have one id; `matched-twice`: two lines speak of one pupil; `unclear`: the name is several pupils';
`unknown-pupil`: a delta speaks of somebody who isn't known."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that can't be taken beside what is known, and whom it would touch."""

    line: PupilLine
    reason: BadReason
    keys: tuple[str, ...] = ()


Match = tuple[PupilLine, KnownPupil | None, MatchedBy | None]


def matched(known: Sequence[KnownPupil], lines: Sequence[PupilLine], day: date) -> tuple[list[Match], list[Bad]]:
    """Each line with the pupil whom it speaks of, None for a new one; and the lines of which that can't be said."""
    keys = {pupil.key: pupil for pupil in known}
    city_ids = {pupil.city_id: pupil for pupil in known if pupil.city_id}
    codes = {pupil.code: pupil for pupil in known if pupil.code}
    found: list[Match] = []
    for line in lines:
        ways: tuple[tuple[MatchedBy, KnownPupil | None], ...] = (
            ("key", keys.get(line.key or "")),
            ("city-id", city_ids.get(line.city_id or "")),
            ("code", codes.get(line.code or "")),
        )
        by, before = next(((by, pupil) for by, pupil in ways if pupil is not None), (None, None))
        if by == "code" and before is not None and line.city_id and before.city_id not in (None, line.city_id):
            # The city says that they are two; which of them has the code is found below.
            by, before = None, None
        found.append((line, before, by))
    return _named(known, found, day)


def _named(known: Sequence[KnownPupil], found: Sequence[Match], day: date) -> tuple[list[Match], list[Bad]]:
    """Lines without a known id by name, birth date and class; and every pupil once."""
    taken = {before.key for _, before, _ in found if before is not None}
    by_name: dict[tuple[str, date, str], list[KnownPupil]] = defaultdict(list)
    for pupil in known:
        school_class = class_on(pupil, day)
        if pupil.key not in taken and pupil.birth is not None and school_class is not None:
            by_name[pupil.name.casefold(), pupil.birth, school_class].append(pupil)
    wanted = Counter(_name_of(line) for line, before, _ in found if before is None)
    sure: list[Match] = []
    bad: list[Bad] = []
    once: dict[str, PupilLine] = {}
    for line, before, by in found:
        name = _name_of(line)
        if before is None and name is not None:
            candidates = [
                pupil
                for pupil in by_name.get(name, ())
                if line.city_id is None or pupil.city_id is None or pupil.city_id == line.city_id
            ]
            if len(candidates) > 1 or (candidates and wanted[name] > 1):
                bad.append(Bad(line, "unclear", tuple(pupil.key for pupil in candidates)))
                continue
            before, by = (candidates[0], "name") if candidates else (None, None)
        if before is not None and once.setdefault(before.key, line) is not line:
            bad.append(Bad(line, "matched-twice", (before.key,)))
            continue
        sure.append((line, before, by))
    return sure, bad


def _name_of(line: PupilLine) -> tuple[str, date, str] | None:
    if line.name is None or line.birth is None or line.school_class is None:
        return None
    return line.name.casefold(), line.birth, line.school_class
