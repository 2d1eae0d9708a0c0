"""The screens of one station: where its staff's desk stands, what each page shows now, and what a key brings about.

No web here. A fault of ours becomes a screen that says so, and the next look makes it anew.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from edge.canteen.ports import ClassTally, Counter, CounterView, Done, Entry
from edge.kiosk.keypad import FOUND_MAX, Act, Desk, Notice, Offer, home, press, rested
from edge.kiosk.pages import Page, failed_html, pupil_html, staff_html
from edge.kiosk.staffview import furnished
from edge.kiosk.view import lasts_ms
from edge.kiosk.words import Language
from protocol.countersheet import Eater
from protocol.meals import Face

log = logging.getLogger("k12edge.kiosk")

RATE_PAUSE_MS: Final = 1_500
"""Between two faces of one station: a child that drums on the glass takes no commit from those who tap."""
SLOW_MAX: Final = 8
"""Servings that wait for the disk and are followed; each took somebody 20 s to ask for."""
Wanted = tuple[Page, Language]


@dataclass(frozen=True, slots=True)
class Frame:
    """A screen at one moment: `number` grows with each look at the station, so that newest wins."""

    number: int
    html: str


class StationScreens:
    """See the room. From any thread; a look never waits for a key, whose commit may take its time."""

    def __init__(self, counter: Counter, station: str, mono_ms: Callable[[], int], pupil: str = "con") -> None:
        """Of one station of this counter's; `mono_ms` of CLOCK_BOOTTIME."""
        self._counter, self._station, self._mono_ms, self._pupil = counter, station, mono_ms, pupil
        self._desk = Desk()
        self._number = 0
        self._slow: deque[Notice] = deque(maxlen=SLOW_MAX)
        self._rated_ms = -RATE_PAUSE_MS
        self._state = threading.Lock()
        self._turn = threading.Lock()

    # --- looks --------------------------------------------------------------------------------------------------------

    def frames(self, wanted: Iterable[Wanted]) -> tuple[Mapping[Wanted, Frame], int | None]:
        """Each page that is wanted as it is now, and in how many ms the pupils' one changes by itself. Never raises."""
        with self._state:
            self._number += 1
            number = self._number
        try:
            view = self._counter.view(self._station)
            with self._state:
                now_ms = self._mono_ms()
                desk, classes = self._furnished(self._followed(rested(self._desk, now_ms), now_ms), view)
                self._desk = desk
            made = {one: Frame(number, self._html(view, desk, classes, *one)) for one in wanted}
            return made, lasts_ms(view.shown, view.now_mono_ms) or None
        except Exception:
            log.exception("screen-failed: the screens of station %s could not be made", self._station)
            return {one: Frame(number, failed_html(*one, self._pupil)) for one in wanted}, None

    def _furnished(self, desk: Desk, view: CounterView) -> tuple[Desk, Sequence[ClassTally]]:
        """The desk with its lines, and the classes where somebody looks at them."""
        classes = self._counter.classes(self._station) if desk.mode == "classes" else ()
        return furnished(desk, view, len(classes)), classes

    def _html(
        self, view: CounterView, desk: Desk, classes: Sequence[ClassTally], page: Page, language: Language
    ) -> str:
        if page == "pupil":
            return pupil_html(view, language, self._pupil)
        return staff_html(view, desk, language, classes)

    # --- keys ---------------------------------------------------------------------------------------------------------

    def press(self, key: str) -> None:
        """Take a key of the staff's, and do what it asks; one after the other. Faults are told on the screen."""
        with self._turn:
            view = self._counter.view(self._station)
            now_ms = self._mono_ms()
            with self._state:
                before, _ = self._furnished(rested(self._desk, now_ms), view)
                desk, act = press(before, key, now_ms)
                if desk.mode == "name" and desk.typed != before.typed:
                    found = self._found(desk.typed, view)
                    desk = replace(desk, offers=found[:FOUND_MAX], more=len(found) > FOUND_MAX)
                self._desk = desk = self._furnished(desk, view)[0]
            if act is None:
                return
            came = self._done(act, desk, view)
            with self._state:
                self._desk = replace(home(self._desk, came), at_ms=self._mono_ms())
                if came.later is not None:
                    self._slow.append(came)

    def _followed(self, desk: Desk, now_ms: int) -> Desk:
        """What waits for the disk stands on the screen until it is known what came of it; then that does.

        Whoever reads only that it waits, writes it on paper, and it is entered twice.
        """
        for notice in tuple(self._slow):
            came = None if notice.later is None else notice.later()
            if came is not None:
                self._slow.remove(notice)
                notice = replace(notice, code=came.code, tap=came.tap, came=came.came, later=None, late=True)
                desk = replace(desk, notice=notice, at_ms=now_ms)
        return replace(desk, notice=self._slow[-1]) if self._slow and desk.notice is None else desk

    def _found(self, typed: str, view: CounterView) -> tuple[Offer, ...]:
        """The pupils of a search, and one more where there is one."""
        meal = None if view.sitting is None else view.sitting.meal

        def offer(eater: Eater) -> Offer:
            notes = () if meal is None or meal in eater.meals else ("not-expected",)
            return Offer(f"name:{eater.student}", eater.name, eater.school_class, "", notes)

        return tuple(offer(eater) for eater in self._counter.find(typed, FOUND_MAX + 1))

    def _done(self, act: Act, desk: Desk, view: CounterView) -> Notice:
        """Ask the counter, and say what came of it."""
        entry = next((one for one in (*view.waiting, *view.recent) if one.tap == act.of), None)
        name, time = ("", "") if entry is None else (entry.name, entry.time)
        if act.verb == "name":
            offered = next((one for one in desk.offers if one.token == f"name:{act.of}"), None)
            name = "" if offered is None else f"{offered.name} {offered.school_class}"
            if offered is None:
                return Notice("name", "gone")
        elif act.verb in ("serve", "undo", "redo", "flip") and not _stands(act, entry):
            return Notice(act.verb, "gone")
        try:
            done = self._ask(act, view.shift_by or "-")
        except Exception:
            log.exception("kiosk-failed: %s could not be asked of station %s", act.verb, self._station)
            done = Done("kiosk-failed")
        tap = act.of if act.verb in ("undo", "redo") else done.tap
        return Notice(act.verb, done.code, name, time, tap, done.wait_s, done.came, done.later)

    def _ask(self, act: Act, by: str) -> Done:
        counter, station = self._counter, self._station
        match act.verb:
            case "serve":
                return counter.serve_stranger(station, act.of, by)
            case "stranger":
                return counter.serve_stranger(station, None, by)
            case "name":
                return counter.serve_name(station, act.of, by, act.answers or None)
            case "undo":
                return counter.undo(act.of, by)
            case "redo":
                return counter.redo(act.of, by)
            case "flip":
                return counter.flip(act.of, by)
            case "login":
                return counter.log_in(station, act.of)
            case "logout":
                return counter.log_out(station)

    def rate(self, face: Face) -> Done:
        """Somebody touched a face."""
        now_ms = self._mono_ms()
        with self._state:
            if now_ms - self._rated_ms < RATE_PAUSE_MS:
                return Done("rate-soon")
            self._rated_ms = now_ms
        return self._counter.rate(self._station, face)


def _stands(act: Act, entry: Entry | None) -> bool:
    """Whether what a button or line named is still so: two fingers on one button do it once."""
    if entry is None:
        return False
    if act.verb == "serve":
        return entry.kind == "referred"
    # The same tray as another has nothing to take back, until it is called a second helping.
    return act.verb == "flip" or entry.repeat is None
