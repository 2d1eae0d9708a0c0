"""The data of every record type that is written today, as shapes: what `data` says beside the taps of protocol.taps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from protocol.taps import TAP_TYPES, ClockData, TapData


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


class RecordForked(msgspec.Struct, frozen=True):
    """`record.forked`, by a hub: other bytes (`other`, as text or hex, cut) came under the name `id` of `source`."""

    id: str
    source: str
    other: str
    clock: ClockData


class TapCorrection(msgspec.Struct, frozen=True):
    """`attendance.correction` and `meal.correction`, by a hub: record `tap` of `source` is `student`'s.

    `was`: who it was known to be before; null means nobody. `card`: the card's id as it is now known. `why`:
    `rederived`, the reader's numbers were read again under another declaration, which `detail` gives. `by`: who asked.
    """

    tap: str
    source: str
    was: str | None
    student: str | None
    card: str
    why: Literal["rederived"]
    detail: str
    by: str
    clock: ClockData


DATA_TYPES: Final[Mapping[str, type[msgspec.Struct]]] = {
    **dict.fromkeys(TAP_TYPES, TapData),
    "journal.opened": JournalOpened,
    "journal.head": JournalHead,
    "boot.anchored": BootAnchored,
    "device.alarm": DeviceAlarm,
    "log.gap": LogGap,
    "record.forked": RecordForked,
    "attendance.correction": TapCorrection,
    "meal.correction": TapCorrection,
}
"""The shape of each record type that gateways and hubs write now; the other types of EVENT_TYPES are reserved."""
