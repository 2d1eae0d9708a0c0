"""Evidence: everything that a mark can rest on, as values. Times are Unix milliseconds; a half-day is `am` or `pm`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, get_args

import msgspec

from protocol.records import Half, State

HALVES: Final = get_args(Half)
Direction = Literal["in", "out"]
STATES: Final = get_args(State)
WatermarkKind = Literal["expected", "complete", "waived", "retired", "flawed"]
WATERMARK_KINDS: Final = get_args(WatermarkKind)
DAY_MS: Final = 86_400_000
ZONE_MS: Final = 7 * 3_600_000
"""Indochina time, without summer time (tz database, Asia/Ho_Chi_Minh)."""


@dataclass(frozen=True, slots=True)
class Session:
    """A class's lessons in one half-day.

    A tap from `opens_ms` on belongs to it, and whoever came in since the half-day before; the bell is at `starts_ms`,
    who comes after `late_after_ms` is late; from `final_ms` on, once all data of that time is there, whoever is missing
    is absent; the last bell is at `ends_ms`.
    `stays`: of an afternoon, who was there in the morning and didn't leave is there.
    """

    day: date
    half: Half
    opens_ms: int
    starts_ms: int
    late_after_ms: int
    final_ms: int
    ends_ms: int
    stays: bool = False


class Tap(msgspec.Struct, frozen=True):
    """A pupil's tap at a gate, at `best_ms` within its bounds; `direction` None at a gate for both.

    `sure` is False where the card was also another pupil's at that moment: evidence against neither's absence.
    """

    id: str
    pupil: str
    best_ms: int
    not_before_ms: int
    not_after_ms: int
    direction: Direction | None = None
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person said of a pupil's half-day, in the roll call or as a correction; the newest counts."""

    id: str
    pupil: str
    day: date
    half: Half
    state: State
    at_ms: int
    by: str
    reason: str = ""


def record_order(record: str) -> tuple[str, int, str]:
    """The key by which the records of a journal stand in their order: as text, 10 would stand before 9."""
    journal, _, number = record.rpartition(".")
    return journal, int(number) if number.isascii() and number.isdecimal() else 0, record


def in_order(statements: Iterable[Statement]) -> list[Statement]:
    """Words from the oldest to the newest: by time, within a millisecond by their records.

    Of two in one journal the later record is the newer word, also where the hub's clock was set back in between.
    """
    journals: dict[str, list[Statement]] = defaultdict(list)
    found: list[tuple[int, tuple[str, int, str], Statement]] = []
    for said in statements:
        journal, number, _ = record_order(said.id)
        if number:
            journals[journal].append(said)
        else:
            found.append((said.at_ms, record_order(said.id), said))
    for mine in journals.values():
        newest_ms = -1 << 60
        for said in sorted(mine, key=lambda one: record_order(one.id)):
            newest_ms = max(newest_ms, said.at_ms)
            found.append((newest_ms, record_order(said.id), said))
    return [said for *_, said in sorted(found, key=lambda one: one[:2])]


def day_begins_ms(at_ms: int) -> int:
    """The midnight at the school before a moment."""
    return at_ms - (at_ms + ZONE_MS) % DAY_MS


@dataclass(frozen=True, slots=True)
class Leave:
    """A leave notice that a person accepted, from one half-day to another, both included."""

    id: str
    pupil: str
    first: tuple[date, Half]
    last: tuple[date, Half]
    at_ms: int
    by: str

    def covers(self, day: date, half: Half) -> bool:
        """Whether it speaks of that half-day. `am` stands before `pm` also as text."""
        return self.first <= (day, half) <= self.last


@dataclass(frozen=True, slots=True)
class Watermark:
    """A word about a gate device's records.

    `expected`: from `at_ms` on it stands at a gate, and its records are needed. `complete`: all that it read until
    `complete_to_ms`, give or take `error_ms`, are its journal's records up to `last`, of which the hub holds `held`.
    `waived`: `by` decided that they are not waited for, until `complete_to_ms`. `retired`: from `at_ms` on it stands at
    no gate.
    `flawed`: from `at_ms` on somebody may have come and be in no record, for the reason that stands in `by`.
    """

    id: str
    device: str
    kind: WatermarkKind
    at_ms: int
    complete_to_ms: int = 0
    error_ms: int = 0
    last: int = 0
    held: int = 0
    by: str = ""
