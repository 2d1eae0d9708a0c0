"""The school's lunch: its plan, who is enrolled and who cuts, and what eaters and staff do at the counters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import TYPE_CHECKING, Final, Literal

from hub.days.classbook import today_at
from hub.days.office import EntryRefused
from hub.meals.sittings import PlannedMeal, PlannedShift, SchoolMeals
from protocol.cards import CardUid
from protocol.errors import K12EdgeError
from protocol.mealrecords import Portions
from protocol.meals import ByHand
from sim.school import Pupil
from sim.world.loop import DAY, MINUTE, MS, SECOND
from sim.world.paths import Paths
from sim.world.plan import MEALTIME

if TYPE_CHECKING:
    from hub.parts import Store
    from sim.world.gateway import GatewayBox
    from sim.world.school import School
    from sim.world.truth import Held

PLAN: Final = SchoolMeals(
    meals=(
        PlannedMeal(
            meal="lunch",
            shifts=(
                PlannedShift(number=1, opens="10:30", closes="11:20", grades=("6", "7")),
                PlannedShift(number=2, opens="11:20", closes="12:10", grades=("8", "9")),
            ),
        ),
    )
)
SECONDS: Final = 0.06
"""Of all eaters: those who come again, at any counter; the soonest after a second."""
SECOND_S: Final = (1.05, 120.0)
BY_NAME: Final = 0.03
"""Those who have no card with them."""
FIDGETS: Final = 0.5
"""Of those whose serving is taken back, who touched the reader once more before."""
UNDONE: Final = 0.03
"""Servings that staff take back; half of those eaters come again."""
MENDED_TWICE: Final = 0.7
"""Of those whose serving is taken back, who had touched at another counter since, where staff call it the same tray."""
CUTS: Final = 0.06
"""Pupils who don't eat today; some of them come all the same."""
CUTS_MIN: Final = (25, 100, 160)
"""When cuts are entered, in minutes from the day's beginning at 05:50: before the locks, and after them."""
ADJUST_MIN: Final = 190
TALK_S: Final = (20, 60)
"""How long before the first eater and after the last one counters talk."""
OFFICE: Final = "co-lan"
STAFF: Final = "co-bep"


@dataclass(slots=True)
class Word:
    """What staff said last of a serving, by its record: it was taken back, or `sure` is false and nobody knows."""

    record: str | None
    sure: bool
    at_ns: int


class Lunch:
    """See the room."""

    def __init__(self, school: School) -> None:
        """Nothing is planned yet."""
        self._school = school
        self.paths = Paths(school)
        self.undone: dict[str, Word] = {}
        """Records of servings that staff took back, as far as they know."""
        self.flipped: dict[str, Word] = {}
        """The same of second helpings that staff called the same tray."""

    # --- the office ---------------------------------------------------------------------------------------------------

    def furnish(self) -> None:
        """The office plans lunch and enrols everybody, once there are pupils; then come the cuts of each day."""
        school = self._school
        if school.plan.crowds <= MEALTIME:
            return
        self.plan_meals()
        self.office(self._enrol)
        rng = school.draw("cuts")
        for day in range(school.plan.days):
            for at_min in CUTS_MIN:
                some = rng.sample(school.pupils, max(1, int(len(school.pupils) * CUTS / len(CUTS_MIN))))
                at_ns = school.began_ns + day * DAY + at_min * MINUTE
                school.loop.at(at_ns, lambda some=some: self._cut(some))  # type: ignore[misc]
            school.loop.at(school.began_ns + day * DAY + ADJUST_MIN * MINUTE, self._adjust)

    def plan_meals(self) -> None:
        """Which meals there are is no record, so a person says it again to an empty hub."""
        if self._school.plan.crowds > MEALTIME:
            self.office(lambda store: store.mealdesk.plan(OFFICE, _today(store), PLAN))

    def _enrol(self, store: Store) -> None:
        with store.database.transaction():
            for pupil in self._school.pupils:
                store.mealoffice.enrol(OFFICE, pupil.key, _today(store), None)

    def _cut(self, pupils: list[Pupil]) -> None:
        for one in pupils:
            self.office(_cutting(one))

    def _adjust(self) -> None:
        """Two guests come to a class's table."""
        school_class = self._school.pupils[0].school_class
        extra = {school_class: Portions(regular=2)}
        self.office(lambda store: store.mealoffice.adjust(OFFICE, _today(store), "lunch", extra, "hai khách"))

    def office(self, work: Callable[[Store], object]) -> None:
        """A person enters something; again a minute later while the hub refuses it, is down or fell over it."""
        school = self._school
        done: list[bool] = []

        def enter() -> None:
            assert school.hub.store is not None
            try:
                work(school.hub.store)
            except EntryRefused:
                # What can't be said of this pupil or sheet just now is left; the person reads why.
                school.truth.seen["entry refused"] += 1
            except K12EdgeError:
                return
            done.append(True)

        if school.hub.up:
            school.hub.perform(enter)
        if not done:
            school.loop.after(MINUTE, lambda: self.office(work))

    # --- at the counters ----------------------------------------------------------------------------------------------

    def plan_talk(self, first_ns: int, last_ns: int) -> None:
        """Counters talk from before the first eater until after the last one."""
        school = self._school
        until_ns = last_ns + TALK_S[1] * SECOND

        def begin() -> None:
            for box in school.gateways:
                box.mealtime(until_ns)
            self.paths.look_until(until_ns)

        school.loop.at(first_ns - TALK_S[0] * SECOND, begin)

    def plan_eater(self, rng: Random, at_ns: int, pupil: Pupil | None, card: CardUid) -> None:
        """Somebody comes to a counter, some of them twice; `pupil` None: nobody knows the card."""
        loop = self._school.loop
        by_name = pupil is not None and rng.random() < BY_NAME
        place, chance = self._a_counter(rng), Random(rng.getrandbits(32))
        loop.at(at_ns, lambda: self._come(chance, place, pupil, card, by_name=by_name))
        if rng.random() < SECONDS:
            again_ns = int(rng.uniform(*SECOND_S) * SECOND) if rng.random() < 0.5 else SECOND + 50 * MS
            there = self._a_counter(rng)
            loop.at(at_ns + again_ns, lambda: self._come(chance, there, pupil, card, by_name=by_name))

    def _a_counter(self, rng: Random) -> tuple[str, int, float]:
        """A gateway, a station of it, and a chance by which of its boxes."""
        counters = [
            (box.config.gateway_id, number)
            for box in self._school.gateways
            for number, plan in enumerate(box.config.stations)
            if plan.kind == "canteen"
        ]
        return *rng.choice(counters), rng.random()

    def _come(
        self, rng: Random, place: tuple[str, int, float], pupil: Pupil | None, card: CardUid, *, by_name: bool
    ) -> None:
        boxes = self._school.boxes(place[0])
        box, station = boxes[int(place[2] * len(boxes))], place[1]
        if by_name and pupil is not None:
            box.serve(station, ByHand("name", STAFF), pupil.key, pupil.key)
            return
        held = box.hold(station, card)
        if held is None:
            return
        assembly = box.assembly
        if rng.random() < UNDONE:
            if rng.random() < FIDGETS:
                self._school.loop.after(SECOND, lambda: _touch(box, station, card))
            if rng.random() < MENDED_TWICE:
                self._touch_elsewhere(rng, card)
            self._school.loop.after(
                int(rng.uniform(2, 15) * SECOND), lambda: self._undo(rng, box, held, place, pupil, card)
            )
        # Staff see to whoever was referred to them, while the same process still shows it.
        wait_ns = int(rng.uniform(2.5, 8) * SECOND)
        self._school.loop.after(wait_ns, lambda: self._answer(box, station, held) if box.assembly is assembly else None)

    @staticmethod
    def _answer(box: GatewayBox, station: int, held: Held) -> None:
        if held.shown == "refused" and held.tap is not None:
            box.serve(station, ByHand("stranger", STAFF, held.tap), held.tap, None)

    def _undo(
        self,
        rng: Random,
        box: GatewayBox,
        held: Held,
        place: tuple[str, int, float],
        pupil: Pupil | None,
        card: CardUid,
    ) -> None:
        """Staff take a serving back; half of those eaters come again."""
        if self._correct("undo", box, held) and rng.random() < 0.5:
            self._school.loop.after(2 * SECOND, lambda: self._come(rng, place, pupil, card, by_name=False))

    def _touch_elsewhere(self, rng: Random, card: CardUid) -> None:
        """At whatever counter; staff there call it the same tray, before the first is taken back or after it."""
        gateway, station, chance = self._a_counter(rng)
        boxes = self._school.boxes(gateway)
        box, wait_ns = boxes[int(chance * len(boxes))], int(rng.uniform(1, 12) * SECOND)

        def touch() -> None:
            held = box.hold(station, card)
            if held is not None:
                self._school.loop.after(wait_ns, lambda: self._flip(box, held))

        self._school.loop.after(SECOND + 200 * MS, touch)

    def _flip(self, box: GatewayBox, held: Held) -> None:
        self._correct("flip", box, held)

    def _correct(self, what: Literal["undo", "flip"], box: GatewayBox, held: Held) -> bool:
        """Whether staff could press it; where the box falls over it, nobody knows whether that was written."""
        tap = held.tap
        if held.shown != "accepted" or tap is None or box.assembly is None:
            return False
        counter, words = box.assembly.counter, self.undone if what == "undo" else self.flipped
        assert counter is not None
        word = words[tap] = Word(None, False, self._school.loop.now_ns)

        def say() -> None:
            done = counter.undo(tap, STAFF) if what == "undo" else counter.flip(tap, STAFF)
            if done.code is None:
                word.sure, word.record = True, done.tap
                self._school.truth.seen["serving taken back" if what == "undo" else "called the same tray"] += 1
            elif done.code == "no-second":
                del words[tap]

        box.perform(say)
        return True


def _today(store: Store) -> date:
    return today_at(store.clock.now_ms())


def _cutting(pupil: Pupil) -> Callable[[Store], object]:
    def cut(store: Store) -> None:
        today = _today(store)
        store.mealoffice.cut(OFFICE, pupil.key, today, today, ("lunch",))

    return cut


def _touch(box: GatewayBox, station: int, card: CardUid) -> None:
    box.hold(station, card)
