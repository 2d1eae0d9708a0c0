"""The meal book: a lunch through a real store - what counters record, what people say, and the same made anew."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from host.machine import Machine
from hub.days.mealbook import MealBook
from hub.days.recompute import recomputed
from hub.store.dayrows import PROJECTED
from hub.store.mealrows import MEAL_PROJECTED
from protocol.cards import parse_card
from protocol.meals import ByHand, MealTap
from protocol.records import MealRated, TapCorrection
from protocol.taps import ClockData, TapData, tap_type
from tests.hub.days.test_daybook import AN, BE, DAY, STRANGE, School, mono_at


class SetClock(Machine):
    """A machine whose wall clock stands where a test sets it, and is synchronised."""

    at_ms: int | None = None

    def wall_ns(self) -> int:
        return super().wall_ns() if self.at_ms is None else self.at_ms * 1_000_000

    def error_ms(self) -> int | None:
        return 5


class Canteen(School):
    """The same hub and box, whose station is a counter."""

    def __init__(self, folder: Path) -> None:
        self.machine = SetClock()
        super().__init__(folder, machine=self.machine)

    def serve(
        self,
        card: str,
        clock: str,
        *,
        student: str | None = None,
        decision: Any = "accepted",
        nth: int = 1,
        hand: ByHand | None = None,
        reason: Any = None,
        day: date = DAY,
    ) -> str:
        key = self.store.secrets.card_keys()[-1]
        keyed = key.keyed(parse_card(card)) if hand is None else key.keyed_hand(student or card)
        said = MealTap(day.isoformat(), "lunch", 1, nth)

        def data(at: ClockData) -> TapData:
            more: dict[str, Any] = {} if hand is None else {"hand": hand}
            return TapData(
                "canteen", "quay-1", None, keyed, student, decision, reason, "ok", "r-1", at, meal=said, **more
            )

        self.run.add(tap_type("canteen", decision), data, mono_ms=mono_at(clock, day))
        return f"{self.run.journal}.{len(self.run.lines)}"

    def correct(self, tap: str, why: Any, clock: str) -> None:
        source, card = self.gate.source, "hk1:AAAAAAAAAAA"
        self.run.add(
            "meal.correction",
            lambda at: TapCorrection(tap, source, None, None, card, why, "", "co-hoa", at),
            mono_ms=mono_at(clock),
        )

    def told(self) -> list[tuple[Any, ...]]:
        found = self.store.mealbook.served(DAY)
        return [(one.pupil, one.how, one.nth, one.flags) for one in found.servings]


@pytest.fixture
def canteen(tmp_path: Path) -> Iterator[Canteen]:
    made = Canteen(tmp_path)
    yield made
    made.room.close()


def test_a_lunch_is_counted_from_its_records_and_again_from_the_first_record_on(canteen: Canteen) -> None:
    canteen.serve(AN, "10:31", student="st-an")
    canteen.serve(AN, "10:45", student="st-an", nth=2)
    shown = canteen.serve(STRANGE, "10:32", decision="refused", reason="unknown")
    canteen.serve(STRANGE, "10:33", hand=ByHand("stranger", "co-hoa", shown))
    wrong = canteen.serve("", "10:34", student="st-be", hand=ByHand("name", "co-hoa"))
    canteen.correct(wrong, "undone", "10:35")
    rated = lambda at: MealRated("tra-khay", DAY.isoformat(), "lunch", "good", at)  # noqa: E731
    canteen.run.add("meal.rated", rated, mono_ms=mono_at("10:50"))
    canteen.deliver()
    expected = [("st-an", "card", 1, ()), (None, "stranger", 1, ()), ("st-an", "card", 2, ())]
    assert canteen.told() == expected
    aside = canteen.store.mealbook.served(DAY).aside
    assert [(one.what, one.pupil) for one in aside] == [("answered", None), ("undone", "st-be")]
    assert canteen.store.days.meals.ratings(DAY) == {("lunch", "tra-khay"): {"good": 1}}
    # A later binding tells whose the strange card was; since when it is theirs decides.
    canteen.store.office.card("-", "issued", STRANGE, "st-chi", None)
    canteen.read()
    assert canteen.told()[1] == ("st-chi", "stranger", 1, ())
    # Read again from the first record on, beside the tables, a day's meals come to the same.
    canteen.store.mealoffice.enrol("co", "st-be", DAY, None, reason="bổ sung")
    canteen.read()
    [asked], [anew] = (list(recomputed(canteen.store, DAY, DAY, from_records=how)) for how in (False, True))
    assert asked["meals"] == anew["meals"] and asked["meals"][0]["served"] == 2
    before = canteen.rows()
    canteen.store.daybook.anew()
    canteen.read()
    assert canteen.rows() == before and set(MEAL_PROJECTED) <= set(PROJECTED)
    assert MealBook(canteen.store).served(DAY) == canteen.store.mealbook.served(DAY)


def test_a_counter_has_no_say_on_another_counters_servings_nor_by_a_day_that_is_none(canteen: Canteen) -> None:
    mine = canteen.serve(BE, "10:31", student="st-be")
    canteen.run.add(
        "meal.correction",
        lambda at: TapCorrection(
            mine, "urn:k12edge:dev:thcs-x-khac", None, None, "hk1:AAAAAAAAAAA", "undone", "", "x", at
        ),
        mono_ms=mono_at("10:32"),
    )
    canteen.deliver()
    assert canteen.told() == [("st-be", "card", 1, ())]
