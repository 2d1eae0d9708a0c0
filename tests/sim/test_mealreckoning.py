"""The demonstration's reckoning of a lunch finds what it is there for: each fault by its name."""

from __future__ import annotations

from collections import Counter
from typing import Any

from protocol.envelope import Event, decode_event, encode_event
from protocol.meals import ByHand, MealTap
from protocol.records import TapCorrection
from protocol.taps import ClockData, TapData, TapId
from sim.demo.lunch import Again
from sim.demo.mealcount import MealCount, Record, count_meal
from sim.demo.mealreckoning import (
    handed_otherwise,
    held_otherwise,
    known_otherwise,
    listed_otherwise,
    settled_otherwise,
)

CLOCK = ClockData("7d3e0c2a", 1, "2026-11-23T10:40:00.000+07:00", "ntp", 15)
NOON_MS = 1_795_405_200_000


class Book:
    """Records of one gateway, each a second behind the one before."""

    def __init__(self, box: str, journal: str, at_s: int) -> None:
        self.box, self._journal, self._at_ms = box, journal * 16, NOON_MS + at_s * 1000
        self.records: list[Record] = []

    def _put(self, kind: str, data: Any) -> str:
        tap = TapId(self._journal, len(self.records) + 1)
        at_ms = self._at_ms + tap.sequence * 1000
        prev = None if tap.sequence == 1 else "A" * 43
        source = f"urn:k12edge:dev:79000701-{self.box}"
        raw = encode_event(
            tap, source=source, kind=kind, time_ms=at_ms, recorded_ms=at_ms, prev=prev, data=data, subject=None
        )
        event: Event = decode_event(raw)
        self.records.append((self.box, event))
        return event.id

    def tray(self, student: str | None, nth: int = 1, *, alone: bool = False, hand: ByHand | None = None) -> str:
        more: Any = {} if hand is None else {"hand": hand}
        meal = MealTap("2026-11-23", "lunch", 1, nth, alone)
        card = f"hk1:{student or 'nobody'}"
        data = TapData("canteen", "quay", None, card, student, "accepted", None, "ok", None, CLOCK, meal=meal, **more)
        return self._put("meal.pickup", data)

    def referred(self) -> str:
        data = TapData("canteen", "quay", None, "hk1:x", None, "refused", "unknown", "refused", None, CLOCK)
        return self._put("meal.referred", data)

    def undo(self, tap: str) -> None:
        word = TapCorrection(tap, "urn:k12edge:dev:x", None, None, "hk1:x", "undone", "", "-", CLOCK)
        self._put("meal.correction", word)


def lunch() -> tuple[MealCount, list[dict[str, Any]]]:
    """A lunch with one of everything, and what a hub that is right says of it."""
    first, second = Book("bep-1", "a", 0), Book("bep-2", "b", 100)
    first.tray("st-an")
    first.tray("st-be")
    first.undo(first.tray("st-chi"))
    first.tray(None, hand=ByHand("stranger", "-", first.referred()))
    first.referred()
    second.tray("st-an", 2)
    second.tray("st-be", 1, alone=True)
    counted = count_meal([*second.records, *first.records], ["st-an", "st-be", "st-chi", "st-dao"])
    items = [
        {
            "record": tray.record,
            "device": tray.box,
            "student": tray.eater if tray.known else None,
            "confirmed": not tray.alone,
        }
        for tray in counted.trays
    ]
    return counted, items


HANDED = Counter({"st-an": 2, "st-be": 2})
EXPECTED = [Again("st-an", "bep-2", 2, alone=False), Again("st-be", "bep-2", 1, alone=True)]


def test_a_lunch_is_counted_by_force() -> None:
    counted, items = lunch()
    sizes = {name: lines.total() for name, lines in counted.lists.items()}
    assert sizes == {"eaten": 2, "second": 2, "unidentified": 1, "taken-back": 1, "referred": 1, "not-eaten": 2}
    assert {pupil for pupil, _ in counted.lists["not-eaten"]} == {"st-chi", "st-dao"}
    assert len(counted.accepted) == 6, "what was taken back was shown, too"
    assert not [
        *handed_otherwise(counted, HANDED),
        *held_otherwise(items, counted.trays),
        *known_otherwise(counted.trays, EXPECTED),
        *settled_otherwise(items, counted.trays),
    ]


def test_each_fault_is_named() -> None:
    counted, items = lunch()
    refused = list(handed_otherwise(counted, HANDED + Counter({"st-dao": 1})))
    assert len(refused) == 1 and "st-dao" in refused[0], "somebody stood there and nothing was recorded"
    assert "hasn't" in next(held_otherwise(items[1:], counted.trays))
    assert "no counter recorded" in next(held_otherwise([*items, items[0]], counted.trays)), "counted twice"
    moved = [{**items[0], "device": "bep-2"}, *items[1:]]
    assert len(list(held_otherwise(moved, counted.trays))) == 2
    unknown = list(known_otherwise(counted.trays, [Again("st-be", "bep-2", 2, alone=False)]))
    assert len(unknown) == 1 and "st-be at bep-2: not helping 2" in unknown[0]
    told = {**counted.lists, "eaten": counted.lists["eaten"] + Counter([("st-dao", "c.1")])}
    assert "3 lines, counted 2" in next(listed_otherwise("drill", told, counted.lists))
    assert not list(listed_otherwise("drill", counted.lists, counted.lists))
    settled = [{**one, "confirmed": True} for one in items]
    assert "to be settled" in next(settled_otherwise(settled, counted.trays)), "a second helping billed by itself"
