"""Shifts: who has the shift at a counter, and how long a wrong PIN makes everybody wait; both outlive a restart."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Final

import msgspec

from edge.canteen.census import MealKey
from host.durable import out_of_the_way, write_durably

log = logging.getLogger("k12edge.canteen")

FILE_NAME: Final = "counter-shifts.json"
FREE_TRIES: Final = 3
"""Wrong PINs in a row that cost no wait: wet fingers mistype."""
WAIT_FIRST_MS: Final = 5_000
WAIT_MAX_MS: Final = 900_000
"""From then on each wrong one doubles the wait, to a quarter of an hour: a million PINs of six digits take 28 years."""
SHIFT_MAX_MS: Final = 8 * 3_600_000
"""A shift that began outside of every meal ends by itself after so long."""


class _Saved(msgspec.Struct, omit_defaults=True):
    """One station's state. `wrong`: PINs in a row that failed, the last at `at_ms` of CLOCK_BOOTTIME of `boot`.

    `who` has the shift since `since_ms` of `boot`, for the meal (`day`, `meal`), empty before one has begun.
    """

    boot: str = ""
    wrong: int = 0
    at_ms: int = 0
    who: str | None = None
    since_ms: int = 0
    day: str = ""
    meal: str = ""


class Shifts:
    """See the room. Times are of CLOCK_BOOTTIME: who sets the wall clock shortens no wait."""

    def __init__(self, data_dir: Path, boot: str, now_ms: int) -> None:
        """Read what is there; an unreadable file counts for nothing. After a reboot every wait begins anew."""
        self._path, self._boot = data_dir / FILE_NAME, boot
        self._lock, self._saving = threading.Lock(), threading.Lock()
        self._dirty = False
        self._stations: dict[str, _Saved] = {}
        try:
            self._stations = msgspec.json.decode(self._path.read_bytes(), type=dict[str, _Saved])
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError, ValueError, RecursionError) as problem:
            log.warning("%s can't be read, and counts for nothing: %s", FILE_NAME, problem)
        for saved in self._stations.values():
            if saved.boot != boot or saved.at_ms > now_ms:
                saved.boot, saved.at_ms, saved.since_ms = boot, now_ms, now_ms

    def _of(self, station: str) -> _Saved:
        return self._stations.setdefault(station, _Saved(self._boot))

    # --- who has the shift ----------------------------------------------------------------------------------------

    def holder(self, station: str) -> str | None:
        """Whose shift it is, None where nobody's."""
        with self._lock:
            return self._of(station).who

    def begin(self, station: str, who: str, now_ms: int, key: MealKey) -> None:
        """From now on it is `who`'s; `key`: the meal then. Written down by the next `save`."""
        with self._lock:
            saved = self._of(station)
            saved.who, saved.since_ms, (saved.day, saved.meal) = who, now_ms, key
            self._dirty = True

    def end(self, station: str, who: str | None = None) -> bool:
        """It is nobody's; `who`: only where it still is theirs. True where it ended."""
        with self._lock:
            saved = self._of(station)
            if saved.who is None or who not in (None, saved.who):
                return False
            saved.who, self._dirty = None, True
            return True

    def look(self, station: str, now_ms: int, key: MealKey) -> bool:
        """End a shift whose meal is over, never one within its meal; True where it ended. `key`: the meal now."""
        with self._lock:
            saved = self._of(station)
            if saved.who is None:
                return False
            had = saved.day, saved.meal
            if had == ("", "") and key != had:
                (saved.day, saved.meal), self._dirty = key, True
                return False
            if had == key and (had != ("", "") or now_ms - saved.since_ms < SHIFT_MAX_MS):
                return False
            saved.who, self._dirty = None, True
            return True

    # --- PINs -----------------------------------------------------------------------------------------------------

    def wait_ms(self, station: str, now_ms: int) -> int:
        """How long no PIN is looked at, 0 where one is."""
        with self._lock:
            saved = self._of(station)
            return max(0, saved.at_ms + _penalty_ms(saved.wrong) - now_ms)

    def trying(self, station: str, now_ms: int) -> None:
        """A PIN will be looked at: before it is, it counts as wrong, durably, so that a kill gives no free try."""
        with self._lock:
            saved = self._of(station)
            saved.boot, saved.wrong, saved.at_ms = self._boot, saved.wrong + 1, now_ms
            self._dirty = True
        self.save()

    def right(self, station: str) -> None:
        """It was right."""
        with self._lock:
            self._of(station).wrong = 0
            self._dirty = True
        self.save()

    def save(self) -> None:
        """Write down what changed. A disk that takes nothing stops nobody: it counts in memory."""
        with self._saving:
            with self._lock:
                if not self._dirty:
                    return
                self._dirty = False
                octets = msgspec.json.encode(self._stations)
            try:
                out_of_the_way(self._path)
                write_durably(self._path, octets)
            except OSError as problem:
                self._dirty = True
                log.warning("%s can't be written: %s", FILE_NAME, problem)


def _penalty_ms(wrong: int) -> int:
    if wrong < FREE_TRIES:
        return 0
    return min(WAIT_MAX_MS, WAIT_FIRST_MS << min(20, wrong - FREE_TRIES))
