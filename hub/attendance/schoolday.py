"""A school day: who belongs to which class, whose a card was, and from all evidence each pupil's marks. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

import msgspec

from hub.attendance.completeness import Completeness, session_completeness
from hub.attendance.evidence import Leave, Session, Statement, Tap, Watermark, day_begins_ms
from hub.attendance.marks import Judged, Presence, judge, newest, presence
from protocol.names import class_order, name_order
from protocol.records import Half

VIETNAM: Final = timezone(timedelta(hours=7))
"""Indochina time, without summer time (tz database, Asia/Ho_Chi_Minh)."""
WHOLE_SCHOOL: Final = "*"
NEVER_MS: Final = 1 << 60
"""The end of a card's time with who still has it."""


@dataclass(frozen=True, slots=True)
class Pupil:
    """A pupil of a class, from a day to another, both included."""

    key: str
    name: str
    school_class: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Binding:
    """Whose a card is: from a moment on and until another, Unix ms."""

    card: str
    pupil: str
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class SchoolDay:
    """All that is known. `sessions` by day, class and half; `bindings` by card.

    `taps` still name cards: (card, tap without a pupil). Where nothing is known of a card, a tap's `pupil` counts: whom
    its gateway took it for. `now_ms`: what comes behind it can't be complete; None where all of it is past.
    """

    pupils: tuple[Pupil, ...]
    bindings: Mapping[str, Sequence[Binding]]
    sessions: Mapping[tuple[date, str, Half], Session]
    taps: tuple[tuple[str, Tap], ...]
    statements: tuple[Statement, ...]
    leaves: tuple[Leave, ...]
    watermarks: tuple[Watermark, ...]
    now_ms: int | None = None


class Marked(msgspec.Struct, frozen=True):
    """A pupil's mark in a half-day of their class."""

    session: Session
    pupil: Pupil
    judged: Judged


def marks_of(known: SchoolDay, at_ms: int | None = None) -> Iterator[Marked]:
    """The mark of every pupil in every half-day of their class, by class and name.

    `at_ms`: as it stood at that moment, by what had been said and could have been read until then; half-days that had
    not begun are left out.
    """
    until_ms = at_ms if at_ms is not None else 1 << 60
    statements: dict[str, list[Statement]] = defaultdict(list)
    leaves: dict[str, list[Leave]] = defaultdict(list)
    taps: dict[str, list[Tap]] = defaultdict(list)
    for said in known.statements:
        if said.at_ms <= until_ms:
            statements[said.pupil].append(said)
    for leave in known.leaves:
        if leave.at_ms <= until_ms:
            leaves[leave.pupil].append(leave)
    for tap in attributed(known.taps, known.bindings):
        if tap.best_ms <= until_ms:
            taps[tap.pupil].append(tap)
    now_ms = known.now_ms if at_ms is None else at_ms
    words = [word for word in known.watermarks if word.at_ms <= until_ms]
    complete: dict[tuple[int, int], Completeness] = {}
    mornings: dict[tuple[date, str], Presence] = {}
    pupils = sorted(
        known.pupils, key=lambda pupil: (class_order(pupil.school_class), name_order(pupil.name), pupil.key)
    )
    for day, half in sorted({(day, half) for day, _, half in known.sessions}):
        for pupil in pupils:
            session = known.sessions.get((day, pupil.school_class, half))
            if session is None or session.opens_ms > until_ms or not pupil.first <= day <= pupil.last:
                continue
            span = session.opens_ms, session.final_ms
            if span not in complete:
                complete[span] = session_completeness(words, session, now_ms)
            seen = _presence(known, pupil, session, taps[pupil.key], statements[pupil.key], until_ms, mornings)
            key, final = pupil.key, complete[span]
            yield Marked(session, pupil, judge(key, session, seen, statements[key], leaves[key], final))


def counted(marked: Iterable[Marked]) -> Iterator[tuple[tuple[date, Half, str], Counter[str]]]:
    """How many of each mark: for each half-day the whole school as `*`, then each class in order."""
    found: dict[tuple[date, Half, str], Counter[str]] = {}
    for mark in marked:
        for school_class in (WHOLE_SCHOOL, mark.pupil.school_class):
            place = mark.session.day, mark.session.half, school_class
            found.setdefault(place, Counter())[mark.judged.mark] += 1
    yield from sorted(
        found.items(), key=lambda item: (*item[0][:2], item[0][2] != WHOLE_SCHOOL, class_order(item[0][2]))
    )


def _presence(
    known: SchoolDay,
    pupil: Pupil,
    session: Session,
    taps: Sequence[Tap],
    statements: Sequence[Statement],
    until_ms: int,
    mornings: dict[tuple[date, str], Presence],
) -> Presence:
    """`mornings`: what taps alone said of mornings that were asked for before, which afternoons begin with."""
    end_ms = _midnight_ms(session.day)
    begin_ms = day_begins_ms(session.starts_ms)
    beside = known.sessions.get((session.day, pupil.school_class, "pm" if session.half == "am" else "am"))
    place = session.day, pupil.key
    if session.half == "am":
        until = end_ms if beside is None else beside.opens_ms
        mornings[place] = presence(pupil.key, session, taps, begin_ms, until, None)
        return mornings[place]
    if beside is None:
        return presence(pupil.key, session, taps, begin_ms, end_ms, None)
    morning = mornings.get(place) or presence(pupil.key, beside, taps, begin_ms, session.opens_ms, None)
    said = newest(statements, beside)
    if said is not None and said.state in ("present", "late"):
        if morning.judged is None:
            # Who came without a card and was seen by a person stays over noon like everybody else.
            morning = Presence(Judged(pupil.key, said.state, evidence=(said.id,)), stayed=True)
    elif said is not None:
        # Who says that a pupil was away, or left, speaks against the taps before that word.
        within = (tap for tap in taps if tap.sure and beside.opens_ms <= tap.best_ms < session.opens_ms)
        stayed = morning.stayed and any(tap.not_before_ms > said.at_ms for tap in within)
        morning = msgspec.structs.replace(morning, stayed=stayed, denied=not stayed)
    if until_ms < session.starts_ms:
        # Who is expected to stay isn't there before the bell has rung.
        morning = msgspec.structs.replace(morning, stayed=False)
    return presence(pupil.key, session, taps, beside.ends_ms, end_ms, morning)


@lru_cache(maxsize=512)
def _midnight_ms(day: date) -> int:
    """When the day ends at the school."""
    return int((datetime(day.year, day.month, day.day, tzinfo=VIETNAM) + timedelta(days=1)).timestamp() * 1000)


def by_card(bindings: Iterable[Binding]) -> Mapping[str, Sequence[Binding]]:
    """Bindings as `SchoolDay` has them."""
    found: dict[str, list[Binding]] = defaultdict(list)
    for binding in bindings:
        found[binding.card].append(binding)
    return found


def attributed(taps: Sequence[tuple[str, Tap]], bindings: Mapping[str, Sequence[Binding]]) -> Iterator[Tap]:
    """The taps of cards that were somebody's when they were held to a gate.

    Where two had one, it may be either's; so it may where it had come to somebody, or gone from them, within the bounds
    of its time.
    """
    for card, tap in taps:
        known = bindings.get(card)
        if known is None:
            if tap.pupil:
                yield tap
            continue
        first_ms, last_ms = tap.not_before_ms, min(tap.not_after_ms, NEVER_MS - 1)
        mine = known[0] if len(known) == 1 and known[0].pupil == tap.pupil else None
        if mine is not None and mine.from_ms <= first_ms and last_ms < mine.to_ms:
            # Nearly every tap.
            yield tap
            continue
        holders = sorted({held.pupil for held in known if held.from_ms <= last_ms and first_ms < held.to_ms})
        sure = len(holders) == 1 and any(held.from_ms <= first_ms and last_ms < held.to_ms for held in known)
        for pupil in holders:
            if sure and tap.pupil == pupil:
                yield tap
            else:
                yield msgspec.structs.replace(tap, pupil=pupil, sure=sure)


def holders_of(known: Sequence[Binding], at_ms: int) -> list[str]:
    """Whose a card was at a moment; more than one where it can't be told from another."""
    if len(known) == 1:
        held = known[0]
        return [held.pupil] if held.from_ms <= at_ms < held.to_ms else []
    return sorted({held.pupil for held in known if held.from_ms <= at_ms < held.to_ms})
