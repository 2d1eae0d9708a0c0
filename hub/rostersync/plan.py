"""The plan of a pull: what the city's register changes among the pupils that the hub has. A preview.

The city is the master of names and classes; the comparison is that of every list (hub/lists/changes.py). What a pull
adds to it: who isn't in the register leaves, but not at once, and not by the dozen. Over 5 % or 20 who go or are
suddenly missing are rather a fault than a school's day, and then nothing is changed until a person says so. A new
school year is no deletion: who isn't in it yet is held over, and leaves when a person begins the year.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final, Literal, TypeVar

from hub.lists.changes import GONE_COUNT_MAX, GONE_SHARE_MAX, Change
from hub.lists.changes import Plan as ListPlan
from hub.lists.changes import plan as compared
from hub.lists.enrolling import ended, placed
from hub.lists.known import Enrolment, KnownPupil, class_on
from hub.lists.lines import PupilLine
from hub.rostersync.held import Held
from hub.rostersync.pull import Harvest
from hub.rostersync.register import CityPupil, Note, Register, Year
from hub.rostersync.rows import NEEDED
from protocol.names import folded

PROVISIONAL_DAYS: Final = 30
"""A newcomer whom the city doesn't name within so many days is no pupil of the school."""
DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Guard:
    """Why nothing is changed: so many of those enrolled would go, or an answer was empty."""

    reason: Literal["gone", "empty"]
    gone: int
    enrolled: int


@dataclass(frozen=True, slots=True)
class Rollover:
    """A school year that comes, or has begun (`begins`) and waits for a person: who goes up, comes, and isn't in it."""

    year: Year
    begins: bool
    moved: int
    new: int
    leaving: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """See the room. `provisional`: since when newcomers wait; `begun`: the school year that began for everybody."""

    changes: tuple[Change, ...]
    same: int
    grace: tuple[str, ...]
    notes: tuple[Note, ...]
    guard: Guard | None
    rollover: Rollover | None
    provisional: Mapping[str, date] = field(default_factory=dict)
    begun: str | None = None

    def counts(self) -> dict[str, int]:
        """Figures for people."""
        kinds = Counter(change.kind for change in self.changes)
        return {
            "new": kinds["new"],
            "updated": kinds["updated"],
            "moved": kinds["moved"],
            "left": kinds["left"],
            "returned": kinds["returns"],
            "missing": kinds["missing"],
            "grace": len(self.grace),
            "same": self.same,
        }


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person said with a pull: how many may go by it, and which school year begins."""

    allow_gone: int = 0
    begin_year: str | None = None


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a plan depends on beside the register.

    `full`: the pull was one; `gone_before`: who left by deltas since the last full pull; `emptied`: a collection came
    empty; `holders`: the keys of pupils who have a card; `ahead`: the register of the next school year's first day;
    `with_year`: the city's ids of those who leave with the old year, since a person began the new one.
    """

    day: date
    begun: str | None
    asked: Asked = Asked()
    provisional: Mapping[str, date] = field(default_factory=dict)
    full: bool = True
    gone_before: int = 0
    emptied: bool = False
    holders: Collection[str] = ()
    ahead: Register | None = None
    with_year: Collection[str] = ()


class _Comparison:
    """The register's pupils, each with the hub's pupil whom they are, compared with them."""

    def __init__(self, known: Sequence[KnownPupil], found: Register, day: date, begun: str | None) -> None:
        self._found, self._day = found, day
        self._begins = found.year is not None and begun != found.year.id
        self._by_key = {one.key: one for one in known}
        self._by_city = {one.city_id: one for one in known if one.city_id is not None}
        self._by_code = {one.code: one for one in known if one.code is not None}
        self._unnamed = _by_name(
            (one.name, class_on(one, day), one) for one in known if one.city_id is None and one.state != "left"
        )
        self._strange = _by_name(
            (one.name, one.school_class, one) for one in found.pupils.values() if one.city_id not in self._by_city
        )
        codes = Counter(pupil.code for pupil in found.pupils.values() if pupil.code)
        self._doubled = {code for code, count in codes.items() if count > 1}
        self.matched: set[str] = set()
        self.missing: list[Change] = []
        self.kept = 0
        """Who is as before, and isn't compared: by grace, or held over."""
        lines = list(self._lines())
        self.list: ListPlan = compared(known, lines, day, complete=False, origin="city", city_says=True)
        self.changes = [
            self._dated(change)
            for change in self.list.changes
            if change.after.key in self.matched or change.kind == "new"
        ]

    def _lines(self) -> Iterator[PupilLine]:
        # Those whom the hub knows by their city id come first: nobody else may be taken for them.
        pupils = self._found.pupils.values()
        for pupil in sorted(pupils, key=lambda one: (one.city_id not in self._by_city, one.city_id)):
            before = self._before(pupil)
            if before is not None:
                self.matched.add(before.key)
            if pupil.held_over and (before is None or before.state == "left"):
                # Last year's pupil, whom the hub never had or saw leave.
                continue
            if before is None and pupil.school_class is None:
                # Nobody can stand in no class; the note says which one the city lacks.
                continue
            if before is not None and pupil.missing:
                self._by_grace(before)
            else:
                yield self._line(before, pupil)

    def _by_grace(self, before: KnownPupil) -> None:
        if before.state == "enrolled" and not before.missing:
            self.missing.append(Change("missing", ("not-listed",), before, replace(before, missing=1), "city-id"))
        else:
            self.kept += 1

    def _before(self, pupil: CityPupil) -> KnownPupil | None:
        known = self._by_city.get(pupil.city_id)
        if known is not None:
            return known
        by_code = None if pupil.code is None or pupil.code in self._doubled else self._by_code.get(pupil.code)
        # A list brought them before the city did, or the city names them anew.
        if by_code is not None and by_code.city_id not in self._found.pupils and by_code.key not in self.matched:
            return by_code
        return self._by_name(pupil)

    def _by_name(self, pupil: CityPupil) -> KnownPupil | None:
        """Whom a list or people brought, without a code: the only one of that name and class, on both sides."""
        name = folded(pupil.name), pupil.school_class
        mine = [one for one in self._unnamed.get(name, ()) if one.key not in self.matched and _may_be(one, pupil)]
        if len(mine) != 1 or pupil.school_class is None:
            return None
        theirs = [one for one in self._strange.get(name, ()) if _may_be(mine[0], one)]
        return mine[0] if len(theirs) == 1 else None

    def _line(self, before: KnownPupil | None, pupil: CityPupil) -> PupilLine:
        code = None if pupil.code in self._doubled else pupil.code
        owner = None if code is None else self._by_code.get(code)
        if owner is not None and (before is None or owner.key != before.key):
            # Each code is one pupil's.
            code = None
        return PupilLine(
            pupil.name,
            pupil.school_class,
            code=code,
            city_id=pupil.city_id,
            key=None if before is None else before.key,
            birth=pupil.birth,
            sex=pupil.sex,
            where=pupil.city_id,
        )

    def _dated(self, change: Change) -> Change:
        """From when a class holds: for who is new as the city says; a school year's from its first day; else from now
        on, so that what was marked keeps its class.
        """
        pupil = self._found.pupils[change.after.city_id or ""]
        # From here on it is the city that names them, and no list that misses them.
        change = replace(change, after=replace(change.after, origin="city"))
        if pupil.school_class is None:
            return change
        year = self._found.year
        begin = self._day if year is None or pupil.held_over else year.first
        since = min(self._day, pupil.since or begin)
        if change.before is None:
            return replace(change, after=replace(change.after, enrolments=(Enrolment(pupil.school_class, since),)))
        if "class" in change.reasons and self._begins and since == begin < self._day:
            enrolments = placed(change.before.enrolments, pupil.school_class, since)
            return replace(change, after=replace(change.after, enrolments=enrolments))
        return change


_Pupil = TypeVar("_Pupil", KnownPupil, CityPupil)


def _by_name(pupils: Iterable[tuple[str, str | None, _Pupil]]) -> dict[tuple[str, str | None], list[_Pupil]]:
    found: dict[tuple[str, str | None], list[_Pupil]] = {}
    for name, school_class, pupil in pupils:
        found.setdefault((folded(name), school_class), []).append(pupil)
    return found


def _may_be(one: KnownPupil, pupil: CityPupil) -> bool:
    born = None in (one.birth, pupil.birth) or one.birth == pupil.birth
    return born and (None in (one.code, pupil.code) or one.code == pupil.code)


def plan(known: Sequence[KnownPupil], found: Register, now: Circumstances) -> Plan:
    """Compare a register with what the hub has."""
    made = _Comparison(known, found, now.day, now.begun)
    missing, leaving, kept = list(made.missing), [], made.kept
    for one in known:
        if one.state != "enrolled" or one.city_id is None or one.key in made.matched or one.city_id in found.opaque:
            continue
        gone = one.city_id not in found.adrift or one.city_id in now.with_year
        if gone or (now.full and one.missing):
            leaving.append(_leaving(one, found, now))
        elif now.full:
            # Still there, in no class: moved just now, rather than gone. The next full pull tells.
            missing.append(Change("missing", ("not-listed",), one, replace(one, missing=1)))
        else:
            kept += 1
    waits, expired = _newcomers(known, made.matched, now)
    notes = [*found.notes, *_strangers(known, made.matched, found, now.holders), *_bad(made.list)]
    notes += [Note("provisional-waits", key, since.isoformat()) for key, since in sorted(waits.items())]
    notes += [Note("provisional-expired", change.after.key) for change in expired]
    held_over = any(_held_over(one, found) for one in known)
    if held_over:
        rollover = _rollover(known, found, now.day, now.begun, begins=True)
    else:
        rollover = None if now.ahead is None else _ahead(known, now.ahead, now.begun)
    return Plan(
        (*made.changes, *missing, *leaving, *expired),
        made.list.same + kept,
        _in_grace(known, [*made.changes, *missing, *leaving]),
        tuple(notes),
        _guard(known, found, missing, leaving, now),
        rollover,
        waits,
        found.year.id if found.year is not None and not held_over else now.begun,
    )


def _leaving(one: KnownPupil, found: Register, now: Circumstances) -> Change:
    last = min(found.ended.get(one.city_id or "", date.max), now.day - DAY)
    if one.city_id in now.with_year and found.before is not None:
        last = min(last, found.before.last)
    first = min((piece.first for piece in one.enrolments), default=now.day)
    after = replace(one, state="left", missing=0, enrolments=ended(one.enrolments, max(last, first) + DAY))
    return Change("left", ("not-listed",), one, after, "city-id")


def _guard(
    known: Sequence[KnownPupil],
    found: Register,
    missing: Sequence[Change],
    leaving: Sequence[Change],
    now: Circumstances,
) -> Guard | None:
    """Each pupil counts once: when they go, or when they are missing for the first time."""
    enrolled = sum(one.state == "enrolled" and one.city_id is not None for one in known)
    gone = len(missing) + sum(
        change.before is not None and not change.before.missing and change.before.city_id not in now.with_year
        for change in leaving
    )
    if enrolled and (now.emptied or not found.pupils) and now.asked.allow_gone < max(1, gone):
        return Guard("empty", gone, enrolled)
    if gone > now.asked.allow_gone and many(gone + now.gone_before, enrolled + now.gone_before):
        return Guard("gone", gone, enrolled)
    return None


def many(gone: int, enrolled: int) -> bool:
    """Whether so many going at once are rather a fault than a school's day."""
    return gone > GONE_COUNT_MAX or gone > GONE_SHARE_MAX * enrolled >= 1


def emptied(held: Held, harvest: Harvest) -> bool:
    """Whether a collection that every school has came without a row, and the hub holds some."""
    return harvest.kind == "full" and any(
        held.get(name) and name in harvest.collections and not harvest.collections[name].rows for name in NEEDED
    )


def _in_grace(known: Sequence[KnownPupil], changes: Sequence[Change]) -> tuple[str, ...]:
    changed = {change.after.key: change.after.missing for change in changes}
    return tuple(one.key for one in known if changed.get(one.key, one.missing if one.state == "enrolled" else 0))


def _bad(made: ListPlan) -> Iterator[Note]:
    """What the comparison itself can't take."""
    for bad in made.bad:
        yield Note("pupil-unclear", bad.line.where, bad.reason)


def _strangers(
    known: Sequence[KnownPupil], matched: Collection[str], found: Register, holders: Collection[str]
) -> Iterator[Note]:
    """Pupils of the hub's whom the city doesn't name, and who don't leave for it: a list brought them."""
    for one in known:
        if one.state == "enrolled" and one.city_id is None and one.key not in matched and found.pupils:
            yield Note("card-holder-unknown" if one.key in holders else "not-at-city", one.key)


def _newcomers(
    known: Sequence[KnownPupil], matched: Collection[str], now: Circumstances
) -> tuple[dict[str, date], list[Change]]:
    waits: dict[str, date] = {}
    expired: list[Change] = []
    for one in known:
        if one.state != "provisional" or one.key in matched:
            continue
        first = min(now.provisional.get(one.key, now.day), now.day)
        if (now.day - first).days > PROVISIONAL_DAYS:
            after = replace(one, state="left", enrolments=ended(one.enrolments, now.day))
            expired.append(Change("left", ("not-listed",), one, after))
        else:
            waits[one.key] = first
    return waits, expired


def _ahead(known: Sequence[KnownPupil], ahead: Register, begun: str | None) -> Rollover | None:
    """The next school year, as it would begin by what the city says now."""
    if ahead.year is None or all(pupil.held_over for pupil in ahead.pupils.values()):
        return None
    return _rollover(known, ahead, ahead.year.first, begun, begins=False)


def _rollover(
    known: Sequence[KnownPupil], found: Register, day: date, begun: str | None, *, begins: bool
) -> Rollover | None:
    if found.year is None:
        return None
    changes = _Comparison(known, found, day, begun).changes
    return Rollover(
        found.year,
        begins,
        sum(change.kind == "moved" for change in changes),
        sum(change.kind == "new" for change in changes),
        tuple(sorted(one.key for one in known if _held_over(one, found))),
    )


def _held_over(one: KnownPupil, found: Register) -> bool:
    pupil = found.pupils.get(one.city_id or "")
    return one.state == "enrolled" and pupil is not None and pupil.held_over
