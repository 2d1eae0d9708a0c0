"""The scene of the keyboard driver: a reader that types each card as it comes."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path

from protocol.cards import CardUid
from sim.emulators.keyboard import ENTER, MSC, SCAN, SHIFT, SYN, Event, TypingReader, press

CAPS_LOCK, LAMP = 58, 0x11


class TypingScene:
    """Types whole numbers in hexadecimal, once each, from when somebody listens; how long a card stays is no matter."""

    at_once = 2

    def __init__(self, folder: Path, *, plugged: bool = True) -> None:
        self.reader = TypingReader(folder / "đầu đọc-event-kbd", plugged=plugged)
        self.url = f"keyboard://{self.reader.link}?format=hex"
        self._plugged = plugged
        self._gap_s = 0.001
        self._others: tuple[list[Event], ...] = ()

    def close(self) -> None:
        self.reader.unplug()

    def over(self, wire: str) -> None:
        match wire:
            case "by bytes":
                self.reader.by_events = True
            case "slow":
                self._gap_s = 0.005
            case "noisy":
                self._others = (*press(CAPS_LOCK), *press(SHIFT), [(MSC, SCAN, 0x70053), (LAMP, 1, 1), (SYN, 0, 0)])
            case _:
                raise NotImplementedError

    def vanish(self) -> None:
        self.reader.unplug()
        self._plugged = False

    def play(self, *showings: tuple[int, CardUid, int]) -> None:
        if not self._plugged:
            self.reader.plug()
            self._plugged = True
        threading.Thread(target=self._play, args=(showings,), daemon=True).start()

    def _play(self, showings: tuple[tuple[int, CardUid, int], ...]) -> None:
        with suppress(OSError, TimeoutError):
            self._type(showings)

    def _type(self, showings: tuple[tuple[int, CardUid, int], ...]) -> None:
        # What is typed while nobody listens goes to the console; pupils come when the reader's lamp is on.
        self.reader.await_held()
        # What comes within half a second of the opening may be the rest of a line; this ends it.
        self.reader.send(*press(ENTER))
        began_s, at_ms = time.monotonic(), 0
        for delay_ms, card, _ in showings:
            at_ms += delay_ms
            time.sleep(max(0.0, began_s + at_ms / 1000 - time.monotonic()))
            self.reader.send(*self._others)
            self.reader.type(card.hex, gap_s=self._gap_s)
