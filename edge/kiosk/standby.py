"""The standby: what the screens show while the gateway can't begin, since its disk is full, failing or not there.

Nobody is left before a blank screen: pupils read that they get their meal, staff why nothing is recorded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from edge.canteen.ports import ClassTally, CounterView, Done, Shown, Tally
from edge.kiosk.keeper import Kiosk
from protocol.countersheet import Eater
from protocol.meals import Face

END_S: Final = 2.0
"""For the port to be free again; who comes meanwhile waited longer for the disk."""


class Standby:
    """See canteen.ports.Counter: counters at which nothing can be written, for the reason `code`."""

    def __init__(self, stations: Sequence[str], mono_ms: Callable[[], int], code: str) -> None:
        """`stations`: the canteen's, by name; `mono_ms` of CLOCK_BOOTTIME."""
        self._stations, self._mono_ms, self.code = tuple(stations), mono_ms, code

    def stations(self) -> Sequence[str]:
        """See Counter.stations."""
        return self._stations

    def view(self, station: str) -> CounterView:
        """See Counter.view: nobody came, nothing is known, and all of it is the disk's fault."""
        return CounterView(
            station=self._stations[self._stations.index(station)],
            now_mono_ms=self._mono_ms(),
            sitting=None,
            closed=False,
            shown=Shown(0, "idle", 0),
            tally=Tally(),
            recent=(),
            waiting=(),
            sheet_day=None,
            sheet_age_s=None,
            roster=None,
            roster_age_s=None,
            link=False,
            unsent=0,
            oldest_age_s=None,
            reader="ready",
            sure=False,
            failing=self.code,
            shift_by=None,
            needs_login=False,
        )

    def classes(self, station: str) -> Sequence[ClassTally]:
        """See Counter.classes: nobody is expected by a list that can't be read."""
        return ()

    def listen(self, heard: Callable[[str], None]) -> Callable[[], None]:
        """See Counter.listen: what there is to see is looked at every two seconds."""
        return lambda: None

    def find(self, words: str, limit: int = 8) -> Sequence[Eater]:
        """See Counter.find: names lie on the disk."""
        return ()

    def serve_name(self, station: str, student: str, by: str, of: str | None = None) -> Done:
        """See Counter.serve_name."""
        return Done(self.code)

    def serve_stranger(self, station: str, of: str | None, by: str) -> Done:
        """See Counter.serve_stranger."""
        return Done(self.code)

    def undo(self, tap: str, by: str) -> Done:
        """See Counter.undo."""
        return Done(self.code)

    def redo(self, tap: str, by: str) -> Done:
        """See Counter.redo."""
        return Done(self.code)

    def flip(self, tap: str, by: str) -> Done:
        """See Counter.flip."""
        return Done(self.code)

    def rate(self, station: str, face: Face) -> Done:
        """See Counter.rate."""
        return Done(self.code)

    def log_in(self, station: str, pin: str) -> Done:
        """See Counter.log_in: who may take a shift lies on the disk."""
        return Done(self.code)

    def log_out(self, station: str) -> Done:
        """See Counter.log_out."""
        return Done(self.code)


class StandbyKiosk:
    """The screens of counters that can't begin: from the first `say` to `end`, on a thread of their own."""

    def __init__(self, stations: Sequence[str], listen: str, mono_ms: Callable[[], int], pupil: str) -> None:
        """See Kiosk; nothing is opened yet."""
        self._counter = Standby(stations, mono_ms, "")
        self._listen, self._mono_ms, self._pupil = listen, mono_ms, pupil
        self._running: tuple[Kiosk, threading.Thread] | None = None

    def say(self, code: str) -> None:
        """This is why nothing can be written."""
        self._counter.code = code
        if self._running is None:
            kiosk = Kiosk(self._counter, self._listen, self._mono_ms, self._pupil)
            thread = threading.Thread(target=kiosk.run, name="kiosk-standby", daemon=True)
            self._running = kiosk, thread
            thread.start()

    def end(self) -> None:
        """The gateway begins, or ends: its port is another kiosk's now."""
        if self._running is not None:
            kiosk, thread = self._running
            self._running = None
            kiosk.stop()
            thread.join(END_S)
