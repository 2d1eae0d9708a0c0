"""A simulated counter: the door of canteen.ports in memory, for the screens' tests and pictures, without a gateway."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from edge.canteen.ports import ClassTally, CounterView, Done, Entry, Shown, Sitting, Tally
from protocol.countersheet import Eater
from protocol.meals import Face
from protocol.names import class_order, folded

JOURNAL = "0b6f5c9e7d2a4f18"


def view_of(station: str = "quay-1", **more: Any) -> CounterView:
    """A view in which all is well and nobody came yet, with whatever else is said."""
    values: dict[str, Any] = {
        "station": station,
        "now_mono_ms": 10_000,
        "sitting": Sitting("2026-11-27", "lunch", 1, "10:30", "11:10", "Nhà ăn A"),
        "closed": False,
        "shown": Shown(0, "idle", 0),
        "tally": Tally(expected=438, left=438),
        "recent": (),
        "waiting": (),
        "sheet_day": "2026-11-27",
        "sheet_age_s": 3 * 3600,
        "roster": "r-20261127T001511Z-8812",
        "roster_age_s": 9 * 3600,
        "link": True,
        "unsent": 0,
        "oldest_age_s": None,
        "reader": "ready",
        "sure": True,
        "failing": None,
        "shift_by": "lan",
        "needs_login": False,
        "shift_name": "Cô Lan",
        "pins": True,
    }
    return CounterView(**(values | more))


class SimulatedCounter:
    """See canteen.ports.Counter. `state` changes what a station shows; `pins` are plain here."""

    def __init__(self, stations: Sequence[str] = ("quay-1",), eaters: Sequence[Eater] = ()) -> None:
        """Nobody came yet."""
        self.eaters = tuple(eaters)
        self.pins = {"271828": "lan"}
        self.staff = {"lan": "Cô Lan"}
        self.code: str | None = None
        """Why nothing can be written, while it can't."""
        self.faces: list[Face] = []
        self._lock = threading.RLock()
        self._views = {station: view_of(station) for station in stations}
        self._heard: list[Callable[[str], None]] = []
        self._taps = 0
        self.tallies: tuple[ClassTally, ...] | None = None
        """What is told of each class, where it isn't counted from the eaters."""
        self._answers: dict[str, str] = {}

    # --- what happens at a counter ----------------------------------------------------------------------------------

    def state(self, station: str, **more: Any) -> None:
        """Change what a station's view says."""
        with self._lock:
            self._views[station] = replace(self._views[station], **more)
        for heard in list(self._heard):
            heard(station)

    def tap(self, station: str, student: str | None, shape: str = "accepted", reason: str | None = None) -> str:
        """A card of a pupil, or of nobody known, was read and recorded; its record."""
        with self._lock:
            eater = next((one for one in self.eaters if one.student == student), None)
            repeat = None
            if shape == "repeated":
                repeat = next((one.tap for one in self._views[station].recent if _is(one, eater)), None)
            return self._record(station, eater, shape, "card", reason, repeat=repeat)

    def _record(
        self,
        station: str,
        eater: Eater | None,
        shape: str,
        how: Any,
        reason: str | None = None,
        of: str | None = None,
        repeat: str | None = None,
    ) -> str:
        self._taps += 1
        tap, view = f"{JOURNAL}.{self._taps}", self._views[station]
        name, school_class = ("", "") if eater is None else (eater.name, eater.school_class)
        nth = 2 if shape == "second" else 1
        now_s = 38_700 + self._taps * 7
        clock = f"{now_s // 3600:02}:{now_s // 60 % 60:02}:{now_s % 60:02}"
        kind: Any = "referred" if shape == "refused" else "served"
        entry = Entry(tap, kind, clock, name, school_class, nth, how, reason=reason, repeat=repeat)
        waiting = tuple(one for one in view.waiting if one.tap != of)
        recent, tally = view.recent, view.tally
        if kind == "referred":
            waiting = (entry, *waiting)
        else:
            recent = (entry, *recent)[:50]
            counted = "seconds" if nth > 1 else "strangers" if eater is None else "served"
            if repeat is None:
                tally = replace(tally, **{counted: getattr(tally, counted) + 1})
                tally = replace(tally, left=max(0, tally.expected - tally.served))
        alerts = () if eater is None else tuple(eater.alerts)
        shown = Shown(
            view.shown.number + 1,
            shape,  # type: ignore[arg-type]  # Named by the test.
            self.mono_ms(),
            tap,
            name,
            school_class,
            nth,
            portion="regular" if eater is None else eater.portion,
            alerts=alerts,
            confirmed=eater is not None and eater.confirmed,
        )
        self.state(station, shown=shown, waiting=waiting, recent=recent, tally=tally)
        return tap

    def mono_ms(self) -> int:
        """CLOCK_BOOTTIME in ms."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    # --- the door -----------------------------------------------------------------------------------------------------

    def stations(self) -> Sequence[str]:
        """See Counter.stations."""
        return tuple(self._views)

    def view(self, station: str) -> CounterView:
        """See Counter.view."""
        with self._lock:
            return replace(self._views[station], now_mono_ms=self.mono_ms(), failing=self.code)

    def classes(self, station: str) -> Sequence[ClassTally]:
        """See Counter.classes."""
        with self._lock:
            sitting, entries = (
                self._views[station].sitting,
                [one for view in self._views.values() for one in view.recent],
            )
        if self.tallies is not None or sitting is None:
            return self.tallies or ()
        served = {one.name for one in entries if one.kind == "served" and not one.undone and one.repeat is None}
        told = []
        for name in sorted({eater.school_class for eater in self.eaters}, key=class_order):
            mine = [eater for eater in self.eaters if eater.school_class == name]
            expected = [eater for eater in mine if sitting.meal in eater.meals]
            left = sum(eater.name not in served for eater in expected)
            told.append(ClassTally(name, len(expected), sum(eater.name in served for eater in mine), left))
        return tuple(one for one in told if one.expected or one.served)

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        """See Counter.listen."""
        self._heard.append(heard)
        return lambda: self._heard.remove(heard)

    def find(self, words: str, limit: int = 8) -> Sequence[Eater]:
        """See Counter.find."""
        asked = folded(words).split()
        found = [eater for eater in self.eaters if asked and all(_fits(word, eater) for word in asked)]
        return tuple(sorted(found, key=lambda eater: not eater.meals)[:limit])

    def serve_name(self, station: str, student: str, by: str, of: str | None = None) -> Done:
        """See Counter.serve_name."""
        eater = next((one for one in self.eaters if one.student == student), None)
        if self.code is not None or eater is None:
            return Done(self.code or "pupil-unknown")
        before = [one for one in self._views[station].recent if _is(one, eater) and not one.undone]
        return Done(None, self._record(station, eater, "second" if before else "accepted", "name", of=of))

    def serve_stranger(self, station: str, of: str | None, by: str) -> Done:
        """See Counter.serve_stranger."""
        if self.code is not None:
            return Done(self.code)
        if of is None or of not in self._answers:
            tap = self._record(station, None, "accepted", "stranger", of=of)
            self._answers[of or tap] = tap
            return Done(None, tap)
        return Done(None, self._answers[of])

    def undo(self, tap: str, by: str) -> Done:
        """See Counter.undo."""
        return self._change(tap, undone=True)

    def redo(self, tap: str, by: str) -> Done:
        """See Counter.redo."""
        return self._change(tap, undone=False)

    def flip(self, tap: str, by: str) -> Done:
        """See Counter.flip."""
        entry = next((one for view in self._views.values() for one in view.recent if one.tap == tap), None)
        if entry is None:
            return Done("serving-unknown")
        if entry.repeat is None and entry.nth < 2:
            return Done("no-second")
        return self._change(tap, nth=2, repeat=None) if entry.repeat else self._change(tap, repeat="x.1")

    def _change(self, tap: str, **more: Any) -> Done:
        if self.code is not None:
            return Done(self.code)
        for station, view in self._views.items():
            if any(one.tap == tap for one in view.recent):
                self.state(station, recent=tuple(replace(e, **more) if e.tap == tap else e for e in view.recent))
                return Done(None, tap)
        return Done("serving-unknown")

    def rate(self, station: str, face: Face) -> Done:
        """See Counter.rate."""
        self.faces.append(face)
        return Done(self.code, None if self.code else f"{JOURNAL}.0")

    def log_in(self, station: str, pin: str) -> Done:
        """See Counter.log_in."""
        if pin not in self.pins:
            return Done("pin-wrong")
        who = self.pins[pin]
        self.state(station, shift_by=who, shift_name=self.staff[who], needs_login=False)
        return Done()

    def log_out(self, station: str) -> Done:
        """See Counter.log_out."""
        self.state(station, shift_by=None, shift_name="", needs_login=True)
        return Done()


def _is(entry: Entry, eater: Eater | None) -> bool:
    return eater is not None and entry.name == eater.name and entry.repeat is None


def _fits(word: str, eater: Eater) -> bool:
    plain = folded(eater.school_class)
    return word in (plain, plain.replace("/", "")) or any(one.startswith(word) for one in folded(eater.name).split())
