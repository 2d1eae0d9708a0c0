"""Taps as values: their names, clock readings, and what each kind of record says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from protocol.meals import ByHand, MealTap

JsonObject = Mapping[str, Any]
Sync = Literal["ntp", "hub", "rtc", "declared", "none"]
Decision = Literal["accepted", "repeated", "refused"]
Reason = Literal[
    "no-roster", "no-card-key", "repeat", "unknown", "lost", "not-enrolled", "ambiguous", "random", "misread"
]
StationKind = Literal["gate", "canteen", "desk", "care"]

DECISIONS: Final = ("accepted", "repeated", "refused")
REASONS: Final = (
    "no-roster",
    "no-card-key",
    "repeat",
    "unknown",
    "lost",
    "not-enrolled",
    "ambiguous",
    "random",
    "misread",
)
STATION_KINDS: Final = ("gate", "canteen", "desk", "care")
SYNCS: Final = ("ntp", "hub", "rtc", "declared", "none")

SEQUENCE_MAX: Final = 999_999_999_999
"""CloudEvents' sequence extension compares text, so the number is padded to 12 digits and ends there."""
JOURNAL_ID: Final = re.compile(r"[0-9a-f]{16}")
SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
"""Schools, devices, hubs and stations in topics and sources: lower-case ASCII letters, digits, inner hyphens."""


@dataclass(frozen=True, slots=True, order=True)
class TapId:
    """A record's name for life: the journal (16 hex digits, one run of one process) and its place in it, from 1."""

    journal: str
    sequence: int

    def __str__(self) -> str:
        """The CloudEvents id, `<journal>.<sequence>`."""
        return f"{self.journal}.{self.sequence}"


def parse_tap_id(text: str) -> TapId | None:
    """The name written as `<journal>.<sequence>`, or None when it isn't one."""
    journal, _, digits = text.partition(".")
    if not JOURNAL_ID.fullmatch(journal) or not digits.isascii() or not digits.isdigit() or digits.startswith("0"):
        return None
    if len(digits) > 12:
        return None
    return TapId(journal, int(digits))


@dataclass(frozen=True, slots=True)
class ClockReading:
    """One look at a device's clocks.

    `boot`: 8 hex digits of the kernel's boot id. `mono_ms`: CLOCK_BOOTTIME. `wall_ms`: the system's wall clock, Unix
    milliseconds, which may say 1970. `best_ms`: the best estimate then, Unix ms. `sync` says what vouches for
    `best_ms`, `err_ms` bounds its error; None where nothing anchors it.
    """

    boot: str
    mono_ms: int
    wall_ms: int
    best_ms: int
    sync: Sync
    err_ms: int | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A record to be written, before it has a name: its type's short name (`attendance.tap`), its time, its data."""

    kind: str
    time_ms: int
    data: JsonObject | msgspec.Struct
    subject: str | None = None


class ClockData(msgspec.Struct, frozen=True, omit_defaults=True):
    """A ClockReading as it travels: `mono` in ms of CLOCK_BOOTTIME, `wall` RFC 3339, `err` in ms, absent if unknown."""

    boot: str
    mono: int
    wall: str
    sync: Sync
    err: int | None = None


class TapData(msgspec.Struct, frozen=True):
    """What `attendance.tap`, `meal.pickup`, `meal.referred`, `card.refused`, `card.presented`, `care.tap` say.

    Of a serving, `meal` is what the counter believed of it, absent outside of every meal it knows; `hand` says that a
    person entered it. Then `card` is made of the pupil's key, not of a card's number: see CardKey.keyed_hand.
    """

    kind: StationKind
    point: str
    dir: str | None
    card: str
    student: str | None
    decision: Decision
    reason: Reason | None
    signal: str
    roster: str | None
    clock: ClockData
    raw: str | msgspec.UnsetType = msgspec.UNSET
    type: str | msgspec.UnsetType = msgspec.UNSET
    meal: MealTap | msgspec.UnsetType = msgspec.UNSET
    hand: ByHand | msgspec.UnsetType = msgspec.UNSET


TYPE_CHARACTERS_MAX: Final = 64
"""A card's type as it says it: SAK and an ATS of 20 bytes take 51."""

SIGNAL_WORDS: Final = {"accepted": "ok", "repeated": "repeat", "refused": "refused"}
"""The data's `signal` for each outcome: what was chosen to be shown, not a proof that it was."""

TAP_TYPES: Final = ("attendance.tap", "meal.pickup", "meal.referred", "card.refused", "card.presented", "care.tap")
"""Records that stand for a card held to a reader."""


def tap_type(kind: StationKind, decision: Decision) -> str:
    """The record type of a tap: where a card was not accepted, the canteen refers and the others refuse."""
    if decision == "refused":
        return "meal.referred" if kind == "canteen" else "card.refused"
    return {"gate": "attendance.tap", "canteen": "meal.pickup", "desk": "card.presented", "care": "care.tap"}[kind]
