"""Other lists than pupils, as a school fills them in, taken whole or not; those of meals in hub.desks.meallists.

A list that was taken changes nothing the second time, also where people said otherwise since; of staff the list counts.
Leave and consent become records of the hub's own journal.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from hub.access.rights import CLASS_ROLES, Person, Right, Role
from hub.attendance.calendaredits import Difference, days_touched, differences
from hub.attendance.contradictions import judged
from hub.attendance.timetable import Timetable
from hub.desks.meallists import MEAL_LISTS, MealLists
from hub.lists.faults import Fault, Faults
from hub.lists.yeardays import DayChange, day_changes
from hub.lists.yearplan import with_bells, with_calendar
from hub.store.userrows import NAME, User
from protocol.errors import NeedsHands
from protocol.names import folded
from protocol.records import Half

if TYPE_CHECKING:
    from hub.lists.lines import LeaveLine, StaffLine
    from hub.parts import Store

TAKEN: Final[Mapping[str, Right]] = {
    "staff": "users",
    "leave": "leave",
    "consent": "messages",
    "calendar": "calendar",
    "timetable": "calendar",
    "boarding": "enrol-meals",
    "diet": "diets",
    "menus": "kitchen-sheet",
}
"""The lists that are taken, and by which right."""
PROBLEMS_MAX: Final = 10


class NotTaken(NeedsHands):
    """A list that reads well can't be taken beside what is known; nothing was changed."""

    code = "list-not-taken"
    hint = "Correct the list, and take it again."


LeaveEffect = Literal["new", "same", "withdrawn"]
LEAVE_EFFECTS: Final[tuple[LeaveEffect, ...]] = get_args(LeaveEffect)
CONSENT_EFFECTS: Final = ("given", "taken_back", "same", "older", "other")
HalfDay = tuple[date, Half]
LISTED: Final = "nhập từ danh sách"
"""Why a list changes days that were: it is the paper that the notices came on."""


@dataclass(frozen=True, slots=True)
class Slip:
    """A new user's first login: the name, and the secret of a link that sets the password once."""

    name: str
    shown: str
    role: Role
    school_class: str | None
    secret: str


class OtherLists:
    """See the room. All of it is asked under the ledger's lock."""

    def __init__(self, store: Store) -> None:
        """Of one hub."""
        self._store = store

    def effects(
        self, file: str, kind: str, found: Sequence[Any], day: date
    ) -> tuple[dict[str, int], tuple[Fault, ...]]:
        """What a list would do, in numbers: of leave and consent (pupil, line), else lines. Raises NotTaken.

        And a note of each line that isn't written, though it says otherwise than what stands: why, and what to do.
        """
        notes = Faults(file)
        match kind:
            case meals if meals in MEAL_LISTS:
                return MealLists(self._store).effects(kind, found, day), ()
            case "consent":
                effects = self._store.consents.effects(found)
                for one in effects:
                    if one.since is not None:
                        signed, since = (f"{when:%d/%m/%Y}" for when in (one.line.day, one.since))
                        _note(notes, "consent-older", one.line.where, signed, since)
                counts = Counter(one.effect for one in effects)
                return {word: counts[word] for word in CONSENT_EFFECTS}, notes.all
            case "leave":
                told = list(self._leaves(found))
                for _, line, effect in told:
                    if effect == "withdrawn":
                        _note(notes, "leave-withdrawn", line.where)
                sums = Counter(effect for _, _, effect in told)
                return {effect: sums[effect] for effect in LEAVE_EFFECTS}, notes.all
            case "calendar" | "timetable":
                changed = list(self._versions(kind, found, day))
                return {"versions": len(changed), "same": int(not changed)}, ()
            case "staff":
                for name, where in self._left_standing(found):
                    _note(notes, "login-stands", where, name)
                kinds = Counter(one.effect for one in self._wanted(found))
                same = sum(1 for _ in _users_of(found)) - kinds.total()
                return {"new": kinds["new"], "moved": kinds["moved"], "same": same}, notes.all
        return {}, ()

    def take(self, kind: str, by: str, found: Sequence[Any], day: date) -> tuple[str, list[Slip]]:
        """Write a list; what was written, in words, and slips of new users. Raises NeedsHands; nothing was changed."""
        store, slips = self._store, list[Slip]()
        with store.database.transaction():
            match kind:
                case "consent":
                    count = store.consents.take(by, found)
                case "leave":
                    missing = [(pupil, line) for pupil, line, effect in self._leaves(found) if effect == "new"]
                    for pupil, line in missing:
                        why = LISTED if line.first[0] < day else ""
                        store.office.leave(by, pupil, line.first, line.last, why)
                    count = len(missing)
                case "calendar" | "timetable":
                    count = self._put(kind, by, found, day)
                case "staff":
                    count, slips = self._admit(by, found)
                case meals if meals in MEAL_LISTS:
                    count = MealLists(store).take(kind, by, found, day)
                case _:
                    raise NotTaken(f"a list of {kind} is checked, and not taken")
        return f"{kind} {count}", slips

    # --- leave --------------------------------------------------------------------------------------------------------

    def _leaves(self, found: Sequence[tuple[str, LeaveLine]]) -> Iterator[tuple[str, LeaveLine, LeaveEffect]]:
        """What each notice would be: the same as one that stands, exactly so, or as one that was withdrawn; else new.

        Who withdrew a notice knew it; the list that it came from doesn't bring it back.
        """
        if not found:
            return
        first, last = min(line.first[0] for _, line in found), max(line.last[0] for _, line in found)
        known: dict[tuple[str, HalfDay, HalfDay], LeaveEffect] = {}
        for leave, gone_ms in self._store.days.leaves(first, last):
            place = leave.pupil, leave.first, leave.last
            if gone_ms is None or place not in known:
                known[place] = "same" if gone_ms is None else "withdrawn"
        for pupil, line in found:
            yield pupil, line, known.get((pupil, line.first, line.last), "new")

    # --- calendar and timetable ---------------------------------------------------------------------------------------

    def _versions(self, kind: str, lines: Sequence[Any], day: date) -> Iterator[tuple[date, Timetable]]:
        """The versions that a list makes: one from the day on, and each later one, where it changes."""
        lay = with_calendar if kind == "calendar" else with_bells
        known = {first: version.document for first, version in self._store.timetables.versions().items()}
        current = next(iter(self._store.classbook.timetables(day).values()))
        classes = tuple(self._store.people.classes(day))
        for first, document in {day: current, **{f: d for f, d in known.items() if f > day}}.items():
            made = lay(document, lines)
            if made != document:
                wrong, _ = judged(document, made, classes)
                if wrong:
                    raise NotTaken("; ".join(f"{one.said('vi')} / {one}" for one in wrong[:PROBLEMS_MAX]))
                yield first, made

    def days(self, lines: Sequence[Any], day: date) -> Iterator[DayChange]:
        """The holidays and make-up days that a calendar takes from the timetable and brings, version by version."""
        current = next(iter(self._store.classbook.timetables(day).values()))
        before = {day: current} | {first: one.document for first, one in self._store.timetables.versions().items()}
        for first, made in self._versions("calendar", lines, day):
            yield from day_changes(before[first], made, first)

    def hours(self, kind: str, lines: Sequence[Any], day: date) -> list[Difference]:
        """The half-days whose hours a calendar or a timetable changes, as the calendar page shows a change."""
        store = self._store
        versions = {first: version.document for first, version in store.timetables.versions().items()}
        before = {date.min: next(iter(store.classbook.timetables(day).values())), **versions}
        after = before | dict(self._versions(kind, lines, day))
        touched, _ = days_touched(day, before, after)
        return differences(before, after, touched, store.people.classes(day))

    def _put(self, kind: str, by: str, lines: Sequence[Any], day: date) -> int:
        store, count = self._store, 0
        classes = tuple(store.people.classes(day))
        for first, document in list(self._versions(kind, lines, day)):
            store.timetables.put(first, document, day, store.clock.now_ms(), by, classes=classes)
            count += 1
        return count

    # --- staff --------------------------------------------------------------------------------------------------------

    def _wanted(self, lines: Sequence[StaffLine]) -> list[_Wanted]:
        """Users who are still to be made, or whose class is another now. Raises NotTaken, every such line named."""
        found: list[_Wanted] = []
        wrong: list[str] = []
        for name, line, role, school_class in _users_of(lines):
            user = self._store.users.find(name)
            person = None if user is None else user.person
            if user is None or person is None:
                found.append(_Wanted("new", name, line, role, school_class))
                continue
            clash = _clash(user, line, role, school_class)
            if clash is not None:
                wrong.append(f"{line.where}: {name}: {clash}")
            elif person.school_class != school_class or line.until not in (None, person.until):
                found.append(_Wanted("moved", name, line, role, school_class))
        if wrong:
            more = [] if len(wrong) <= PROBLEMS_MAX else [f"… +{len(wrong) - PROBLEMS_MAX}"]
            raise NotTaken("; ".join((*wrong[:PROBLEMS_MAX], *more)))
        return found

    def _left_standing(self, lines: Sequence[StaffLine]) -> Iterator[tuple[str, str]]:
        """Logins that staff of the list still have, for jobs or classes that it no longer names: for people to end."""
        counts = Counter(line.code for _, line, *_ in _users_of(lines))
        for line in lines:
            number = counts[line.code] + 1
            while (user := self._store.users.find(login_name(line.code, number))) is not None:
                if not user.revoked:
                    yield user.person.name, line.where
                number += 1

    def _admit(self, by: str, lines: Sequence[StaffLine]) -> tuple[int, list[Slip]]:
        """How many users were made or moved, and the slips of those who are new."""
        store, slips = self._store, list[Slip]()
        wanted = self._wanted(lines)
        for effect, name, line, role, school_class in wanted:
            now_ms, mono_ms = store.clock.now_ms(), store.clock.mono_ms()
            if effect == "moved":
                store.users.move(name, school_class, line.until)
            else:
                until = None if line.until is None else line.until.isoformat()
                _, secret = store.users.add(name, line.name, role, school_class, until, now_ms)
                slips.append(Slip(name, line.name, role, school_class, secret))
            what = "user moved" if effect == "moved" else "user"
            store.audit.note(Person(by, "it"), what, name, "write", "allowed", now_ms, mono_ms)
        return len(wanted), slips


class _Wanted(NamedTuple):
    """What a line of staff asks for a login: to be made, or moved to its class."""

    effect: Literal["new", "moved"]
    name: str
    line: StaffLine
    role: Role
    school_class: str | None


def _clash(user: User, line: StaffLine, role: Role, school_class: str | None) -> str | None:
    """Why a login that is there can't be what a line asks for; None where it can."""
    if user.person.role != role:
        # Whoever has two jobs keeps the login of each; a role is never changed by a list.
        return "tên đăng nhập đã có, với vai trò khác / the login name is there already, with another role"
    if user.revoked:
        return "đã thu hồi; hãy dùng mã khác / revoked: names are not given twice, give another code"
    if user.person.school_class != school_class and folded(user.person.shown) != folded(line.name):
        return "tên đăng nhập đã có, của người khác / the login name is there already, of somebody else"
    return None


def _note(faults: Faults, code: str, where: str, *about: str) -> None:
    """One more note of a line, by its place."""
    sheet, _, row = where.rpartition(", ")
    faults.add(code, *about, sheet=sheet, row=int(row or 0))


def _users_of(lines: Sequence[StaffLine]) -> Iterator[tuple[str, StaffLine, Role, str | None]]:
    """A login for each role of each member of staff, and for each class of a homeroom teacher; see login_name."""
    for line in lines:
        number = 0
        for role in line.roles:
            classes = line.homeroom if role in CLASS_ROLES else (None,)
            for school_class in classes:
                number += 1
                name = login_name(line.code, number)
                if not NAME.fullmatch(name):
                    raise NotTaken(
                        f"{line.where}: no login name can be made of this code / mã không thành tên đăng nhập"
                    )
                yield name, line, role, school_class  # type: ignore[misc]


def login_name(code: str, number: int) -> str:
    """The login name of a staff code: its small letters and digits; a second job's ends in 2."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", code.casefold()).strip("-._")
    return plain if number == 1 else f"{plain}-{number}"
