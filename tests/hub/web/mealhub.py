"""A hub's pages with a lunch on them: pupils enrolled, a counter that serves, the kitchen's locks looked at by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx

from hub.access.rights import Role
from protocol.cards import parse_card
from protocol.meals import ByHand, MealTap
from protocol.taps import ClockData, TapData, tap_type
from tests.hub.handmade import T0_MS
from tests.hub.web.dayhub import DAY, DayHub, ms_at
from tests.hub.web.pagehub import BOUND, CLASS

LUNCH = "lunch"


class MealHub(DayHub):
    """See the room. All of both classes are enrolled for lunch since the week before."""

    def _furnish(self) -> None:
        super()._furnish()
        self.now("05:00", DAY - timedelta(days=6))
        for row in self.rows:
            self.store.mealoffice.enrol("van.thu", row.pupil_key, DAY - timedelta(days=6), None)
        self.now("06:50")

    def who(self, role: Role, school_class: str = CLASS) -> httpx.Client:
        """Somebody of a role, of this class where the role has one; logged in anew each time, as the clock moves."""
        known: dict[str, httpx.Client] = self.__dict__.setdefault("known", {})
        more = {**BOUND.get(role, {}), "class": school_class} if role in BOUND else {}
        name = f"{role}.{school_class.replace('/', '-')}" if more else f"{role}.user"
        if name not in known:
            known[name] = self.browser(role, name, **more)
        secret = self.store.sessions.begin(name, "test", self.store.clock.now_ms())
        assert secret is not None
        known[name].cookies.set("k12", secret)
        return known[name]

    def serve(
        self,
        pupil: str,
        clock: str,
        *,
        card: str | None = None,
        decision: Any = "accepted",
        nth: int = 1,
        hand: ByHand | None = None,
        point: str = "quay-1",
        alone: bool = False,
        day: date = DAY,
    ) -> str:
        """A pupil's card at a counter, or another card, or somebody by hand; the record's id."""
        key, number = self.store.secrets.card_keys()[-1], card or self.cards.get(pupil, "")
        keyed = key.keyed(parse_card(number)) if hand is None else key.keyed_hand(pupil or "nobody")
        said = MealTap(day.isoformat(), "lunch", 1, nth, alone)
        student, reason = (pupil or None, None) if decision == "accepted" else (None, "unknown")

        def data(at: ClockData) -> TapData:
            more: dict[str, Any] = {} if hand is None else {"hand": hand}
            return TapData(
                "canteen",
                point,
                None,
                keyed,
                student,
                decision,
                reason,
                "ok",
                "r-1",
                at,
                meal=said,
                **more,  # type: ignore[arg-type]
            )

        self.run.add(tap_type("canteen", decision), data, mono_ms=ms_at(clock, day) - T0_MS)
        return f"{self.run.journal}.{len(self.run.lines)}"

    def kitchen(self, clock: str) -> None:
        """What the kitchen's thread does at a clock time."""
        self.now(clock)
        self.settle()
        self.store.kitchen.work()
        self.settle()


@contextmanager
def meal_hub(folder: Path, **more: Any) -> Iterator[MealHub]:
    made = MealHub(folder, **more)
    try:
        yield made
    finally:
        made.close()
