"""Readers of five kinds before one gateway, as a person handles them: plugged in, a card held to them, pulled out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Protocol

from edge.readers.lines import QUIET_S
from sim.emulators.bench import Bench
from sim.emulators.keyboard import ENTER, TypingReader, press
from sim.emulators.lines import Printer
from sim.emulators.osdppd import OsdpPd
from sim.emulators.pcsccard import uid_card
from sim.emulators.pcscdaemon import Pcscd
from sim.emulators.pn532 import FieldCard
from sim.parts import PartFailed

OPEN_S: Final = 30.0
"""A reader that came back is opened within 5 s and some; a busy machine may take longer, but it must."""
KEY: Final = "00112233445566778899AABBCCDDEEFF"


class Board(Protocol):
    """A reader. `url`: what the gateway calls it; `await_open` returns when the gateway has it open.

    `stays`: it tells as long as a card lies there; the others tell that one came. A card may then lie through a pull.
    """

    url: str
    stays: bool

    def plug(self) -> None:
        """Put it in."""

    def unplug(self) -> None:
        """Pull it out; what lies before it lies there when it is back."""

    def await_open(self) -> None:
        """Return when taps are read. Raises PartFailed."""

    def show(self, uid: bytes) -> None:
        """Hold a card to it; 7 bytes."""

    def take(self) -> None:
        """Take the card away."""

    def handed_over(self) -> bool:
        """Whether the gateway surely has the card that was shown last; False also where nobody can tell."""


def _until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + OPEN_S
    while not true():
        if time.monotonic() > deadline:
            raise PartFailed(f"{what}: not open within {OPEN_S:g} s")
        time.sleep(0.002)


class Pn532Board:
    """A PN532 on a serial line."""

    stays = True

    def __init__(self, folder: Path, bench: Bench) -> None:
        """Plugged in."""
        self._bench, self._chip = bench, bench.add(folder / "chip")
        self._shown_at = 0
        self.url = f"pn532://{folder / 'chip'}"

    def plug(self) -> None:
        """See Board."""
        self._bench.do(self._chip.plug)

    def unplug(self) -> None:
        """See Board."""
        self._bench.do(self._chip.unplug)

    def await_open(self) -> None:
        """See Board."""
        looks = self._chip.looks
        _until(lambda: self._chip.looks > looks + 1, self.url)

    def show(self, uid: bytes) -> None:
        """See Board."""
        self._chip.place(FieldCard(uid))
        self._shown_at = self._chip.looks

    def take(self) -> None:
        """See Board."""
        self._chip.remove()

    def handed_over(self) -> bool:
        """See Board: who looks again has had the answer to the look before, and made of it what it makes."""
        return self._chip.looks >= self._shown_at + 3


class LinesBoard:
    """A printer of hexadecimal numbers."""

    stays = False

    def __init__(self, folder: Path) -> None:
        """Plugged in."""
        self._printer = Printer(folder / "printer")
        self.url = f"lines://{self._printer.link}?format=hex"

    def plug(self) -> None:
        """See Board."""
        self._printer.plug()

    def unplug(self) -> None:
        """See Board."""
        self._printer.unplug()

    def await_open(self) -> None:
        """See Board."""
        try:
            self._printer.await_listener(OPEN_S)
        except TimeoutError as problem:
            raise PartFailed(str(problem)) from problem
        # What comes sooner may be the end of a number that nobody heard begin.
        time.sleep(2 * QUIET_S)

    def show(self, uid: bytes) -> None:
        """See Board."""
        self._printer.say(f"{uid.hex().upper()}\r\n")

    def take(self) -> None:
        """See Board."""

    def handed_over(self) -> bool:
        """See Board: a pseudo-terminal doesn't tell whether it was read."""
        return False


class OsdpBoard:
    """A reader on RS-485, with Secure Channel."""

    stays = False

    def __init__(self, folder: Path) -> None:
        """Plugged in."""
        key_file = folder / "gate.key"
        key_file.write_text(f"{KEY}\n", encoding="ascii")
        key_file.chmod(0o600)
        self._pd = OsdpPd(folder / "osdp", bytes.fromhex(KEY))
        self._shown_at = 0
        self.url = f"osdp://{self._pd.link}?address=0&key-file={key_file}&baud=115200"

    def plug(self) -> None:
        """See Board."""
        self._pd.plug()

    def unplug(self) -> None:
        """See Board: it loses its power."""
        self._pd.unplug()
        self._pd.become("secure")

    def await_open(self) -> None:
        """See Board."""
        _until(self._pd.secured, self.url)

    def show(self, uid: bytes) -> None:
        """See Board."""
        self._pd.show(8 * len(uid), uid)
        self._shown_at = self._pd.asked

    def take(self) -> None:
        """See Board."""

    def handed_over(self) -> bool:
        """See Board: the question behind the one that the card was the answer to."""
        return self._pd.asked >= self._shown_at + 4

    def close(self) -> None:
        """End its thread."""
        self._pd.close()


class KeyboardBoard:
    """A reader that poses as a keyboard."""

    stays = False

    def __init__(self, folder: Path) -> None:
        """Plugged in."""
        self._reader = TypingReader(folder / "wedge-event-kbd")
        self.url = f"keyboard://{self._reader.link}?format=hex"

    def plug(self) -> None:
        """See Board."""
        self._reader.plug()

    def unplug(self) -> None:
        """See Board."""
        self._reader.unplug()

    def await_open(self) -> None:
        """See Board."""
        try:
            self._reader.await_held(OPEN_S)
        except TimeoutError as problem:
            raise PartFailed(str(problem)) from problem
        # What comes within half a second of the opening may be the rest of a line; this ends it.
        self._reader.send(*press(ENTER))

    def show(self, uid: bytes) -> None:
        """See Board."""
        self._reader.type(uid.hex().upper())

    def take(self) -> None:
        """See Board."""

    def handed_over(self) -> bool:
        """See Board: what a keyboard's reader has read lies in no buffer any more."""
        return self._reader.unread() == 0


class PcscBoard:
    """A reader of pcscd's, whose daemon is what goes away."""

    stays = True

    def __init__(self, folder: Path) -> None:
        """Its daemon runs."""
        self._daemon = Pcscd(folder / "pcscd")
        self._daemon.start()
        self._lies, self._asked = False, 0
        self.url = "pcsc:K12%20Gate%2000%2000"

    def plug(self) -> None:
        """See Board."""
        self._daemon.start()

    def unplug(self) -> None:
        """See Board."""
        self._daemon.kill()
        self._asked = self._daemon.slots[0].asked

    def await_open(self) -> None:
        """See Board: a card is noticed whenever the gateway has come back. One that lay there was read by then."""
        slot = self._daemon.slots[0]
        if self._lies:
            _until(lambda: slot.asked > self._asked, self.url)

    def show(self, uid: bytes) -> None:
        """See Board."""
        self._daemon.slots[0].show(uid_card(uid))
        self._lies = True

    def take(self) -> None:
        """See Board."""
        self._daemon.slots[0].remove()
        self._lies = False

    def handed_over(self) -> bool:
        """See Board: between pcscd and who asks it nobody looks."""
        return False

    def close(self) -> None:
        """End the daemon."""
        self._daemon.stop()


@contextmanager
def boards(folder: Path) -> Iterator[dict[str, Board]]:
    """One of each kind, plugged in, by the name of its driver."""
    with ExitStack() as parts:
        bench = parts.enter_context(Bench())
        osdp = OsdpBoard(folder)
        parts.callback(osdp.close)
        pcsc = PcscBoard(folder)
        parts.callback(pcsc.close)
        keyboard, lines = KeyboardBoard(folder), LinesBoard(folder)
        parts.callback(keyboard.unplug)
        parts.callback(lines.unplug)
        yield {"keyboard": keyboard, "lines": lines, "osdp": osdp, "pcsc": pcsc, "pn532": Pn532Board(folder, bench)}
