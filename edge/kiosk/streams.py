"""The streams of the screens: each page that listens gets the newest screen whole; one that is slow misses older ones.

Looks are made on worker threads, a few for all; the lanes that report a change only raise a flag.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from edge.kiosk.pages import Page
from edge.kiosk.screens import Frame, StationScreens
from edge.kiosk.words import Language

log = logging.getLogger("k12edge.kiosk")

LISTENERS_MAX: Final = 16
"""Pages open at once; one more ends the one that has listened longest, so that a fresh page is always served."""
BEAT_S: Final = 2.0
"""A page takes the gateway for gone after three (kiosk.js); ages on the screen are never older than one."""
RETRY_MS: Final = 1_000


@dataclass(slots=True, eq=False)
class Listener:
    """A page that listens: a mailbox of one, the newest screen."""

    station: str
    page: Page
    language: Language
    newest: Frame | None = None
    fresh: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    def tell(self, frame: Frame) -> None:
        """Put the newest screen in the mailbox; one that reads the same is none."""
        if self.newest is None or self.newest.html != frame.html:
            self.newest = frame
            self.fresh.set()

    def end(self) -> None:
        """Have its stream end."""
        self.ended = True
        self.fresh.set()


class Streams:
    """See the room. All but `changed` belongs to the server's loop."""

    def __init__(self, screens: Mapping[str, StationScreens], workers: ThreadPoolExecutor, run: str) -> None:
        """Nobody listens yet. `run` names this run of the gateway: pages of another one load themselves anew."""
        self._screens, self._workers, self._run = screens, workers, run
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed: dict[str, asyncio.Event] = {}
        self._raised: set[str] = set()
        self._lookers: dict[str, asyncio.Task[None]] = {}
        self._listeners: dict[Listener, None] = {}
        self._stopping = False

    @property
    def open(self) -> int:
        """How many pages listen."""
        return len(self._listeners)

    def changed(self, station: str) -> None:
        """Something of a station's view is new. From any thread; never blocks, never raises."""
        loop = self._loop
        if loop is None or station in self._raised:
            # The flag is up: the look that takes it down has not begun yet.
            return
        self._raised.add(station)
        with suppress(RuntimeError):
            # The loop may be closing.
            loop.call_soon_threadsafe(self._wake, station)

    def stop(self) -> None:
        """End every stream soon; from any thread."""
        self._stopping = True
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end_all)

    def _end_all(self) -> None:
        for one in self._listeners:
            one.end()

    def _wake(self, station: str) -> None:
        if station in self._changed:
            self._changed[station].set()
        else:
            self._raised.discard(station)

    async def stream(self, station: str, page: Page, language: Language) -> AsyncIterator[str]:
        """One page's screens as they come, as server-sent events, with a beat between them."""
        mine = Listener(station, page, language)
        while len(self._listeners) >= LISTENERS_MAX:
            oldest = next(iter(self._listeners))
            oldest.end()
            del self._listeners[oldest]
        self._listeners[mine] = None
        self._look_after(station)
        try:
            yield f"retry: {RETRY_MS}\nevent: hello\ndata: {self._run}\n\n"
            while not (mine.ended or self._stopping):
                try:
                    await asyncio.wait_for(mine.fresh.wait(), BEAT_S)
                except TimeoutError:
                    yield "event: beat\ndata:\n\n"
                    continue
                mine.fresh.clear()
                if mine.newest is not None and not mine.ended:
                    yield f"data: {as_json(mine.newest)}\n\n"
        finally:
            self._listeners.pop(mine, None)

    def _look_after(self, station: str) -> None:
        """Have somebody look at a station, and look now."""
        self._loop = asyncio.get_running_loop()
        self._changed.setdefault(station, asyncio.Event()).set()
        looker = self._lookers.get(station)
        if looker is None or looker.done():
            self._lookers[station] = self._loop.create_task(self._look(station))

    async def _look(self, station: str) -> None:
        """Look at a station after each change, each beat, and when a pupil's screen has stood its time."""
        changed, loop = self._changed[station], asyncio.get_running_loop()
        due_s = 0.0
        while mine := [one for one in self._listeners if one.station == station]:
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), due_s)
            changed.clear()
            # Before the look: what changes while it is made raises the flag again.
            self._raised.discard(station)
            mine = [one for one in self._listeners if one.station == station]
            wanted = {(one.page, one.language) for one in mine}
            due_s = BEAT_S
            try:
                frames, lasts_ms = await loop.run_in_executor(self._workers, self._screens[station].frames, wanted)
                for one in mine:
                    one.tell(frames[one.page, one.language])
                due_s = BEAT_S if lasts_ms is None else min(BEAT_S, lasts_ms / 1000)
            except Exception:
                # Pages would go on hearing beats, and show an old screen for ever: they are cut off, and ask anew.
                log.exception("screen-failed: station %s could not be looked at", station)
                for one in mine:
                    one.end()
        self._lookers.pop(station, None)


def as_json(frame: Frame) -> str:
    """A screen as the page's script takes it, on one line."""
    return json.dumps({"number": frame.number, "html": frame.html}, ensure_ascii=False, separators=(",", ":"))
