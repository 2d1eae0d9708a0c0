"""Attendance for programs: roll call, leave notices, marks, who is on site, completeness, a record's trail."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from hub.attendance.knowndays import beyond_ms
from hub.attendance.timetable import calendar_of
from hub.days.classbook import today_at
from hub.days.office import BACK_DAYS_MAX, BY_CHARACTERS_MAX, REASON_CHARACTERS_MAX, EntryRefused, HalfDayOf
from hub.days.recompute import mark_shown
from hub.days.trail import trail_of
from hub.dayview.sheet import newest_words, spoken
from hub.web.dayforms import AskedDay, KnownDay
from hub.web.errors import Refusal
from hub.web.ground import Web
from hub.web.leaves import Reason, held_to, why
from hub.web.visits import Visit, Visitor
from protocol.envelope import rfc3339, unix_ms_of
from protocol.errors import BadMessage
from protocol.taps import parse_tap_id

KEY_CHARACTERS_MAX: Final = 64
CLASS_CHARACTERS_MAX: Final = 40
ID_CHARACTERS_MAX: Final = 40
AHEAD_MS: Final = 60_000
"""By how much the clock of who asks may be ahead of ours."""
Half = Literal["am", "pm"]
State = Literal["present", "late", "left-early", "absent", "excused", "unexcused", "withdrawn"]
Student = Annotated[str, Field(min_length=1, max_length=KEY_CHARACTERS_MAX)]
Class = Annotated[str | None, Query(alias="class", max_length=CLASS_CHARACTERS_MAX, description="absent: all")]


class RollCallIn(BaseModel):
    """What is said of pupils of a class in a half-day; `confirms` signs the class's list as it stands."""

    model_config = ConfigDict(extra="forbid")

    school_class: str = Field(alias="class", min_length=1, max_length=CLASS_CHARACTERS_MAX)
    day: KnownDay
    half: Half
    states: dict[Student, State] = Field(default_factory=dict, max_length=200)
    reason: str = Field("", max_length=REASON_CHARACTERS_MAX)
    confirms: bool = False
    how: Literal["api", "paper"] = "api"


class HalfDayIn(BaseModel):
    """A half-day."""

    model_config = ConfigDict(extra="forbid")

    day: KnownDay
    half: Half


class LeaveIn(BaseModel):
    """A leave notice, both ends included; `reason`: why days that were are changed, needed where it speaks of such."""

    model_config = ConfigDict(extra="forbid")

    student: Student
    first: HalfDayIn
    last: HalfDayIn
    reason: Reason = ""


class AdmissionIn(BaseModel):
    """A pupil who was seen coming in without a card; `seen` RFC 3339, absent: now. `reason`: of a day that was."""

    model_config = ConfigDict(extra="forbid")

    student: Student
    seen: str | None = Field(None, max_length=40)
    reason: str = Field("", max_length=REASON_CHARACTERS_MAX)


class WaiverIn(BaseModel):
    """A person decides that a device's records are not waited for, to a moment (RFC 3339)."""

    model_config = ConfigDict(extra="forbid")

    device: str = Field(min_length=1, max_length=64)
    through: str = Field(max_length=40)
    reason: str = Field(min_length=1, max_length=REASON_CHARACTERS_MAX)


def add_attendance(web: Web) -> None:
    """All of it."""
    _add_roll_call(web)
    _add_leave(web)
    _add_marks(web)
    _add_on_site(web)
    _add_trail(web)


def _by(visit: Visit) -> str:
    assert visit.person is not None
    return visit.person.signature[:BY_CHARACTERS_MAX]


def _add_roll_call(web: Web) -> None:
    @web.api("POST", "/v1/rollcall", "mark-class", of="object")
    def call(said: RollCallIn, visit: Visitor) -> Any:
        """Say who is present, late, absent, excused (P) or unexcused (K), or sign a class's list."""
        visit.must(said.school_class, said.school_class)
        if said.states and said.day < visit.today and not said.reason.strip():
            raise Refusal(409, "reason-needed", f"{said.day.isoformat()} is past: a change of it says why.")
        record = web.store.office.roll_call(
            _by(visit),
            HalfDayOf(said.school_class, said.day, said.half),
            said.states,
            how=said.how,
            reason=said.reason,
            confirms=said.confirms,
        )
        return {"record": str(record)}

    @web.api("GET", "/v1/rollcall", "see-class", of="class")
    def called(visit: Visitor, day: AskedDay = None) -> Any:
        """What was said on a day of a class, or of all, oldest first; and who signed."""
        when, reasons = day or visit.today, visit.allows("see-reasons", visit.school_class)
        with web.store.database.lock:
            pupils = list(web.store.people.of(when, when, visit.school_class))
            said = list(web.store.days.statements(when, when))
            signed = web.store.days.confirmations(when)
            # Who is let in at a gate counts like a tap, which changes no list that was signed.
            words = list(spoken(web.store, when, (one for one, how, _ in said if how != "gate")))
        members, newest = {pupil.key for pupil in pupils}, newest_words(words, pupils)
        return {
            "items": [
                {
                    "record": one.id,
                    "time": rfc3339(one.at_ms),
                    "student": one.pupil,
                    "day": one.day.isoformat(),
                    "half": one.half,
                    "state": one.state,
                    "by": one.by,
                    "reason": one.reason if reasons else "",
                    "how": how,
                    "seen": None if seen_ms is None else rfc3339(seen_ms),
                }
                for one, how, seen_ms in said
                if one.pupil in members
            ],
            "confirmed": [
                {"record": row.record, "time": rfc3339(row.at_ms), "class": row.school_class, "half": row.half}
                | {"by": row.by, "changed": newest.get((row.school_class, row.half), 0) > row.at_ms}
                for row in signed
                if visit.school_class in (None, row.school_class)
            ],
        }

    @web.api("POST", "/v1/admissions", "admit-at-gate")
    def admit(said: AdmissionIn, visit: Visitor) -> Any:
        """A pupil came in without a card: recorded by hand, and counted like a tap at the gate."""
        seen_ms = None
        if said.seen is not None:
            try:
                seen_ms = unix_ms_of(said.seen)
            except BadMessage as problem:
                raise EntryRefused("seen: {problem}", problem=problem) from problem
            _seen_at_the_gate(web, visit, said, seen_ms)
        return {"record": str(web.store.office.admit(_by(visit), said.student, seen_ms, said.reason))}


def _seen_at_the_gate(web: Web, visit: Visit, said: AdmissionIn, seen_ms: int) -> None:
    """A moment of today, not before the first gate opened; one of an earlier day is a correction, which who may mark
    the class makes for a reason. Raises Refusal, EntryRefused.
    """
    if beyond_ms(seen_ms) is not None or seen_ms > visit.now_ms + AHEAD_MS:
        raise EntryRefused("seen: the moment lies too far back, or in the future")
    day = today_at(seen_ms)
    if day < visit.today:
        with web.store.database.lock:
            school_class = web.store.people.class_on(said.student, day)
        visit.must(school_class, said.student, "mark-class")
        if not said.reason.strip():
            raise Refusal(409, "reason-needed", f"{day.isoformat()} is past: a change of it says why.")
    if day < visit.today - timedelta(days=BACK_DAYS_MAX):
        raise EntryRefused("seen: the moment lies too far back")
    with web.store.database.lock:
        sessions = calendar_of(web.store.classbook.timetables(day), [day], web.store.people.classes(day))
        opens_ms = min((session.opens_ms for _, session in sessions), default=None)
    if opens_ms is not None and seen_ms < opens_ms:
        raise EntryRefused("seen: no gate was open yet, the first one opened at {opens}", opens=rfc3339(opens_ms))


def _add_leave(web: Web) -> None:
    @web.api("POST", "/v1/leave", "leave", of="object")
    def excuse(said: LeaveIn, visit: Visitor) -> Any:
        """A leave notice that the visitor accepts."""
        held_to(web, visit, said.student, said.first.day, said.last.day)
        reason = why(visit, said.first.day, said.reason)
        first, last = (said.first.day, said.first.half), (said.last.day, said.last.half)
        record = web.store.office.leave(_by(visit), said.student, first, last, reason)
        return {"record": str(record)}

    @web.api("GET", "/v1/leave", "see-reasons", of="class")
    def excused(visit: Visitor, day: AskedDay = None) -> Any:
        """The leave notices that speak of a day, of a class or of all."""
        when = day or visit.today
        with web.store.database.lock:
            members = {pupil.key for pupil in web.store.people.of(when, when, visit.school_class)}
            found = list(web.store.days.leaves(when, when))
        return {
            "items": [
                {
                    "record": leave.id,
                    "student": leave.pupil,
                    "first": {"day": leave.first[0].isoformat(), "half": leave.first[1]},
                    "last": {"day": leave.last[0].isoformat(), "half": leave.last[1]},
                    "time": rfc3339(leave.at_ms),
                    "by": leave.by,
                    "withdrawn": None if withdrawn_ms is None else rfc3339(withdrawn_ms),
                }
                for leave, withdrawn_ms in found
                if leave.pupil in members
            ]
        }

    @web.api("DELETE", "/v1/leave/{record}", "leave", of="object")
    def withdraw(
        record: Annotated[str, Path(max_length=ID_CHARACTERS_MAX)],
        visit: Visitor,
        since: Annotated[date | None, Query(alias="from", description="ISO 8601; absent: all of its days")] = None,
        reason: Annotated[Reason, Query(description="why days that were are changed")] = "",
    ) -> Any:
        """A leave notice doesn't count any more, or from a day on; it stays in the book. Once is enough."""
        with web.store.database.lock:
            leave, before = web.store.days.leave(record), web.store.days.withdrawal(record)
        if leave is None:
            raise Refusal(404, "no-leave", "There is no such leave notice.")
        first = leave.first[0] if since is None else max(since, leave.first[0])
        held_to(web, visit, leave.pupil, first, leave.last[0])
        if before is not None:
            return {"record": before, "stays": None}
        done = web.store.office.withdraw_leave(_by(visit), record, since, why(visit, first, reason))
        return {"record": done.record, "stays": done.stays}


def _add_marks(web: Web) -> None:
    @web.api("GET", "/v1/marks", "see-class", of="class")
    def marks(visit: Visitor, day: AskedDay = None, at: Annotated[str | None, Query(max_length=40)] = None) -> Any:
        """The marks of a day, by class and name; `at`: by what had been said and seen until then (RFC 3339)."""
        at_ms = None if at is None else unix_ms_of(at)
        if at_ms is not None and (unknown := beyond_ms(at_ms)) is not None:
            raise EntryRefused("at: {unknown}", unknown=unknown)
        marked = web.store.classbook.marks(day or visit.today, visit.school_class, at_ms)
        return {"items": [mark_shown(one) | {"name": one.pupil.name} for one in marked]}

    @web.api("GET", "/v1/watermark", "see-today", here=True)
    def watermark(visit: Visitor, day: AskedDay = None) -> Any:
        """How far a day's records are complete: of each half-day whose records are still waited for, and who waived."""
        items = web.store.classbook.completeness(day or visit.today)
        if visit.person is None:
            # Programs of this machine that nobody logged in for learn no names, of staff neither.
            items = [{**item, "waived": [{"device": one["device"]} for one in item["waived"]]} for item in items]
        return {"items": items}

    @web.api("POST", "/v1/watermark", "waive")
    def waive(said: WaiverIn, visit: Visitor) -> Any:
        """A device's records to a moment are waited for no longer, for a reason; derived again when they come."""
        record = web.store.office.waive(_by(visit), said.device, unix_ms_of(said.through), said.reason)
        return {"record": str(record)}


def _add_on_site(web: Web) -> None:
    @web.api("GET", "/v1/onsite", "see-onsite", of="class")
    def on_site(visit: Visitor) -> Any:
        """Who is in the school now, as far as anybody knows; of a class or of all."""
        found = web.store.classbook.on_site(visit.now_ms, visit.school_class)
        return {
            "time": rfc3339(visit.now_ms),
            "items": [
                {
                    "student": one.pupil.key,
                    "name": one.pupil.name,
                    "class": one.pupil.school_class,
                    "where": one.where,
                    "since": None if one.since_ms is None else rfc3339(one.since_ms),
                    "evidence": one.evidence,
                }
                for one in found
            ],
        }


def _add_trail(web: Web) -> None:
    @web.api("GET", "/v1/records/{record}/trail", "see-pupil", of="object")
    def trail(record: Annotated[str, Path(max_length=ID_CHARACTERS_MAX)], visit: Visitor) -> Any:
        """All that is known of a record: its times, when it came here and to the city, what was said of it since."""
        name = parse_tap_id(record)
        found = None if name is None else trail_of(web.store, name)
        if found is None:
            raise Refusal(404, "no-record", "The ledger has no such record.")
        day, school_class = date.fromisoformat(found["day"]), found["class"]
        if found["student"] is not None:
            with web.store.database.lock:
                school_class = web.store.people.class_on(found["student"], day)
        # Of a day on which the pupil was of another class, its teachers are asked, as on the page of a pupil's day.
        visit.must(school_class, record)
        return found
