"""The data of every record type that is written today, as shapes: what `data` says beside the taps of protocol.taps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec

from protocol.mealrecords import MEAL_TYPES
from protocol.meals import Face, Meal
from protocol.taps import TAP_TYPES, ClockData, StationKind, TapData


class PreviousJournal(msgspec.Struct, frozen=True):
    """The journal before this one: its id, its last sequence, that record's digest (null where it can't be read)."""

    journal: str
    last: int
    head: str | None


class JournalOpened(msgspec.Struct, frozen=True):
    """`journal.opened`, the first record of every journal. `key`: the writer's public key; `version`: its software's.

    `previous` is null where the writer's file held no journal.
    """

    journal: str
    previous: PreviousJournal | None
    key: str
    version: str
    clock: ClockData


class JournalHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """`journal.head`: `sig` over record `through` and its digest `head`, by the key of the journal's first record.

    The text signed is `k12edge.head.v1`, journal, through and head, joined by line breaks. Hubs add their clock.
    """

    through: int
    head: str
    sig: str
    clock: ClockData | None = None


class BootAnchored(msgspec.Struct, frozen=True):
    """`boot.anchored`: at `mono` ms of CLOCK_BOOTTIME of this boot it was `wall`, give or take `err` ms."""

    boot: str
    mono: int
    wall: str
    err: int
    source: Literal["ntp", "hub", "declared"]


class DeviceAlarm(msgspec.Struct, frozen=True):
    """`device.alarm`: something a person should know; codes in docs/reference/errors.md."""

    code: str
    detail: str


class LogGap(msgspec.Struct, frozen=True):
    """`log.gap`: records `first` to `last` of a journal can't be read any more, and why."""

    journal: str
    first: int
    last: int
    reason: Literal["journal-damaged"]


class Unseeing(msgspec.Struct, frozen=True):
    """A station whose reader didn't look from `since` to `until` (RFC 3339; null: it still doesn't).

    Nobody could be seen there: who came then was shown nothing, and stands in no record.
    """

    station: str
    since: str
    until: str | None


class DeviceWatermark(msgspec.Struct, frozen=True):
    """`device.watermark`: of what this gateway saw to `complete_to` (RFC 3339, by its clock) all is written by now.

    No record of a card seen until then comes later, in this journal or in one after it. `last`: the sequence before
    this record's. `stations`: station -> kind; `readers`: station -> `ready`, or the code of what is wrong with its
    reader. `blind`: what its readers missed, since the last one of this run.
    """

    last: int
    complete_to: str
    stations: dict[str, StationKind]
    readers: dict[str, str]
    blind: list[Unseeing]
    clock: ClockData


class WatermarkWaived(msgspec.Struct, frozen=True):
    """`watermark.waived`, by a hub: `by` goes on without what `device` may still have to `through` (RFC 3339), and why.

    `reason`: 1 to 200 characters. What comes after all counts all the same.
    """

    device: str
    through: str
    by: str
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    clock: ClockData


class RecordForked(msgspec.Struct, frozen=True):
    """`record.forked`, by a hub: other bytes (`other`, as text or hex, cut) came under the name `id` of `source`."""

    id: str
    source: str
    other: str
    clock: ClockData


class TapCorrection(msgspec.Struct, frozen=True):
    """`attendance.correction` and `meal.correction`: record `tap` of `source` is `student`'s.

    By a hub, or (`meal.correction`) by the gateway of the counter that wrote the record; then `source` is itself.
    `was`: who it was known to be before; null means nobody. `card`: the card's id as it is now known. `why`:
    `rederived`, the reader's numbers were read again under another declaration, which `detail` gives; `holder`, the
    gateway didn't know, or didn't know any more, whose card it was at that moment. Of servings also: `undone`, nobody
    was served, and `done`, somebody was after all; `second`, a repeat was a second helping, and `repeat`, a second one
    was the same tray. The newest of a record counts. `by`: who asked; `-` for the hub.
    """

    tap: str
    source: str
    was: str | None
    student: str | None
    card: str
    why: Literal["rederived", "holder", "undone", "done", "second", "repeat"]
    detail: str
    by: str
    clock: ClockData


class MealRated(msgspec.Struct, frozen=True):
    """`meal.rated`: somebody touched a face at the tray return `point`; who it was stands nowhere."""

    point: str
    day: str
    meal: Meal
    face: Face
    clock: ClockData


Half = Literal["am", "pm"]
State = Literal["present", "late", "left-early", "absent", "excused", "unexcused", "withdrawn"]
"""What a person can say of a pupil's half-day; `withdrawn` takes back what was said before."""


class RollCall(msgspec.Struct, frozen=True, omit_defaults=True):
    """`attendance.rollcall`, by a hub: what `by` says of pupils of a class in a half-day; the newest word counts.

    `states`: pupil -> what was said; empty where nothing is said anew. `how`: on a `page`, through the `api`, from
    `paper` that was filled in before, or at the `gate`, where `seen` is when each was let in. `confirms`: the person
    signs the whole class's list as it stands. `reason`: of a correction.
    """

    school_class: str = msgspec.field(name="class")
    day: str
    half: Half
    states: dict[str, State]
    how: Literal["page", "api", "paper", "gate"]
    by: str
    clock: ClockData
    reason: str = ""
    confirms: bool = False
    seen: str | None = None


class HalfDay(msgspec.Struct, frozen=True):
    """A half-day: ISO date and half."""

    day: str
    half: Half


class LeaveNotice(msgspec.Struct, frozen=True, omit_defaults=True):
    """`attendance.leave`, by a hub: `student` is excused from a half-day to another, both included, as `by` accepted.

    `withdraws`: the notice of this id doesn't count any more. `reason`: why days that were are changed, one of a few
    words. Why the pupil is away stands nowhere: it may be about health.
    """

    student: str
    first: HalfDay
    last: HalfDay
    withdraws: str | None
    by: str
    clock: ClockData
    reason: str = ""


class CardChanged(msgspec.Struct, frozen=True):
    """`card.changed`, by a hub: what happened to a card of `student`, from `since` on (null: since ever).

    `issued` and `temporary`: it is the pupil's, and nobody else's. `lost`: it is refused. `found`: it is the pupil's
    again. `returned` and `replaced`: it is nobody's. `raw`: its number, in a box that only the hub opens.
    """

    card: str
    student: str
    change: Literal["issued", "temporary", "lost", "found", "returned", "replaced"]
    since: str | None
    raw: str
    by: str
    clock: ClockData


Category = Literal["In Attendance", "Tardy", "Early departure", "Excused Absence", "Unexcused Absence", "Absent"]
"""Words of Ed-Fi's attendance event category; `Absent` is ours: nobody has said yet whether it is excused."""


class MarkBasis(msgspec.Struct, frozen=True):
    """What derived marks rest on: whether all taps until `final` (RFC 3339) were here, by all devices or but for some.

    `waived`: device -> who decided not to wait for it; `flawed`: device -> why somebody may have come there unrecorded.
    """

    final: str
    complete: bool
    waived: dict[str, str]
    flawed: dict[str, str]


class DayMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """A pupil's half-day. `minutes`: late by, or left early by; `by`: the person who said it, empty where derived.

    `evidence`: records that it rests on, the first ones; `more`: how many further ones there are.
    """

    category: Category
    minutes: int = 0
    by: str = ""
    evidence: list[str] = []
    more: int = 0


class AttendanceMark(msgspec.Struct, frozen=True):
    """`attendance.mark`, by a hub: what stands of pupils of a class in a half-day now, and what doesn't any more.

    Of several records of a half-day (of any class) the one with the higher `number` speaks later. `retracts`: pupil ->
    the category that was told before; where it is only replaced, `marks` has the new one. Whoever is in none of both is
    as told before, or not known.
    """

    school_class: str = msgspec.field(name="class")
    day: str
    half: Half
    number: int
    rules: str
    watermark: MarkBasis
    marks: dict[str, DayMark]
    retracts: dict[str, Category]
    clock: ClockData


Purpose = Literal["messages", "photo", "counter-name", "health"]


class ConsentChanged(msgspec.Struct, frozen=True, omit_defaults=True):
    """`consent.changed`, by a hub: consent to `purpose` was given for `student`, or refused or taken back.

    `at` (RFC 3339): when it was entered, always behind the word before it; the newest counts. `guardian` and `signed`:
    who gave it, and on which ISO day, where a paper says so. `by`: who entered it.
    """

    student: str
    purpose: Purpose
    given: bool
    at: str
    by: str
    clock: ClockData
    guardian: Literal["father", "mother", "guardian"] | None = None
    signed: str | None = None


class FilesSent(msgspec.Struct, frozen=True):
    """`files.sent`, by a hub: `by` says that the files of a number were sent, and to whom; a word, no receipt.

    `manifest`: SHA-256 (hex) of the number's manifest.json, which names each file with its own.
    """

    number: int
    manifest: str
    by: str
    to: str
    clock: ClockData


class IncidentPack(msgspec.Struct, frozen=True, omit_defaults=True):
    """`incident.pack`, by a hub: a list of who ate was `made`, or `by` had it `sent` to the city.

    `scope`: of what, such as `meal lunch 2026-11-23`; `number`: its version, counted for each scope, an exercise
    (`drill`) apart. `took`: ms. `waiting`: counters of which something may be missing; `complete`: none. `counts`:
    lines of each list. `files`: name -> SHA-256 (hex). `kept`: SHA-256 (hex) of what the hub remembers of this version.
    Only `sent` names pupils: `lists`, list -> their opaque keys, in `parts` records of which this is `part`.
    """

    what: Literal["made", "sent"]
    scope: Annotated[str, msgspec.Meta(max_length=200)]
    number: Annotated[int, msgspec.Meta(ge=1)]
    drill: bool
    made: str
    took: Annotated[int, msgspec.Meta(ge=0)]
    complete: bool
    counts: dict[str, int]
    kept: str
    by: str
    clock: ClockData
    waiting: list[str] = []
    files: dict[str, str] = {}
    part: Annotated[int, msgspec.Meta(ge=1)] = 1
    parts: Annotated[int, msgspec.Meta(ge=1)] = 1
    lists: dict[str, list[str]] = {}


DATA_TYPES: Final[Mapping[str, type[msgspec.Struct]]] = {
    **dict.fromkeys(TAP_TYPES, TapData),
    "journal.opened": JournalOpened,
    "journal.head": JournalHead,
    "boot.anchored": BootAnchored,
    "device.alarm": DeviceAlarm,
    "log.gap": LogGap,
    "device.watermark": DeviceWatermark,
    "watermark.waived": WatermarkWaived,
    "record.forked": RecordForked,
    "attendance.correction": TapCorrection,
    "meal.correction": TapCorrection,
    "meal.rated": MealRated,
    "attendance.rollcall": RollCall,
    "attendance.leave": LeaveNotice,
    "attendance.mark": AttendanceMark,
    "card.changed": CardChanged,
    "consent.changed": ConsentChanged,
    "files.sent": FilesSent,
    "incident.pack": IncidentPack,
    **MEAL_TYPES,
}
"""The shape of each record type that gateways and hubs write now; the other types of EVENT_TYPES are reserved."""
