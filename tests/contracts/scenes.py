"""Scenes: each driver's world, in which cards come before it; the contract suite runs over every one of them."""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pytest

from edge.readers.lines import QUIET_S
from edge.readers.simulated import SimulatedReader, hold, socket_path
from protocol.cards import CardUid
from protocol.errors import ReaderLost
from sim.emulators.bench import Bench
from sim.emulators.lines import Printer
from sim.emulators.osdppd import LineFaults, OsdpPd
from sim.emulators.pcsccard import uid_card
from sim.emulators.pcscdaemon import Pcscd
from sim.emulators.pn532 import Faults, FieldCard, Pn532Emulator
from sim.emulators.usb import UsbBus
from sim.emulators.usbreaders import Acr122
from sim.emulators.wires import WIRES, by_bytes, hesitant, noisy
from tests.contracts.typing_scene import TypingScene

Showing = tuple[int, CardUid, int]
"""Milliseconds after the showing before began, the card, milliseconds that it stays."""


class Scene(Protocol):
    """A driver's world: where it looks, and how cards come before it.

    `at_once`: cards that its reader tells of while they lie there together.
    """

    url: str
    at_once: int

    def play(self, *showings: Showing) -> None:
        """Show these cards from now on, where it vanished after it has come back. Before or after the opening."""

    def over(self, wire: str) -> None:
        """From now on the reader's words come over such a wire; see test_wires.py."""

    def vanish(self) -> None:
        """The reader is gone, until somebody plays."""

    def close(self) -> None:
        """Take the world away."""


class ReplayScene:
    at_once = 2

    def __init__(self, folder: Path) -> None:
        self._path = folder / "thẻ.txt"
        self.url = f"replay:{self._path}"

    def close(self) -> None:
        self._path.unlink(missing_ok=True)

    def play(self, *showings: Showing) -> None:
        text = "".join(f"{delay_ms} {card.canonical} {hold_ms}\n" for delay_ms, card, hold_ms in showings)
        draft = self._path.with_suffix(".new")
        draft.write_text(text, encoding="ascii")
        draft.rename(self._path)

    def over(self, wire: str) -> None:
        raise NotImplementedError

    def vanish(self) -> None:
        raise NotImplementedError


class Pn532Scene:
    at_once = 2

    def __init__(self, folder: Path, bench: Bench, *, plugged: bool = True) -> None:
        self.link = folder / "đầu đọc"
        self.url = f"pn532://{self.link}"
        self.bench = bench
        self.chip: Pn532Emulator = bench.add(self.link)
        if not plugged:
            bench.do(self.chip.unplug)

    def close(self) -> None:
        """The bench unplugs its chips."""

    def over(self, wire: str) -> None:
        self.chip.wire = {"by bytes": by_bytes, "slow": hesitant, "noisy": noisy}[wire]

    def vanish(self) -> None:
        self.bench.do(self.chip.unplug)

    def play(self, *showings: Showing) -> None:
        if self.chip.master < 0:
            self.bench.do(self.chip.plug)
        threading.Thread(target=show, args=(self.chip, showings), daemon=True).start()


def show(chip: Pn532Emulator, showings: tuple[Showing, ...], told: Callable[[], float] = lambda: math.inf) -> None:
    """Place cards before an emulated chip and take them away; returns when all is shown.

    It begins when somebody looks: a busy machine takes longer to open a reader than the first card stays. `told`: how
    often the chip has told of a card. One that it hasn't told of since it came isn't taken away yet: that would show
    how often a busy machine looks, and not what the driver makes of it.
    """
    before = told()
    looks, deadline = chip.looks, time.monotonic() + 10
    while chip.looks == looks and time.monotonic() < deadline:
        time.sleep(0.002)
    began_s, at_ms, changes = time.monotonic(), 0, list[tuple[int, int, CardUid]]()
    for delay_ms, card, hold_ms in showings:
        at_ms += delay_ms
        changes += [(at_ms, 1, card), (at_ms + hold_ms, 0, card)]
    field: list[CardUid] = []
    for when_ms, comes, card in sorted(changes, key=lambda change: change[:2]):
        time.sleep(max(0.0, began_s + when_ms / 1000 - time.monotonic()))
        end_s = time.monotonic() + TOLD_S
        while not comes and told() < before + TOLD_TIMES and time.monotonic() < end_s:
            time.sleep(0.002)
        field = [*field, card] if comes else [other for other in field if other != card]
        chip.place(*(FieldCard(bytes.fromhex(present.hex)) for present in field))
        before = told()


class UsbScene:
    """An ACR122U on an emulated USB, which stands in for libusb's context; all of nfcpy's own code runs above it."""

    url = "nfcpy:usb"
    at_once = 2

    def __init__(self, _folder: Path, _bench: Bench, *, plugged: bool = True) -> None:
        self.bus, self.chip = UsbBus(), Acr122()
        self._told: Callable[[], float] = lambda: math.inf
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr("usb1.USBContext", self.bus.context)
        if plugged:
            self.bus.plug(self.chip)

    def close(self) -> None:
        self._patch.undo()

    def over(self, wire: str) -> None:
        match wire:
            case "slow":
                self.bus.lag_ms = 20
            case "noisy":
                self.chip.faults = Faults(error=0.05, flaky=0.1)
                self._told = lambda: self.chip.told
            case _:
                raise NotImplementedError

    def vanish(self) -> None:
        self.bus.unplug(self.chip)

    def play(self, *showings: Showing) -> None:
        if self.chip not in self.bus.places.values():
            self.bus.plug(self.chip)
        threading.Thread(target=show, args=(self.chip, showings, self._told), daemon=True).start()


class LinesScene:
    """A printer: it says each card's number when the card comes, and nothing while nobody listens."""

    at_once = 2

    def __init__(self, folder: Path, bench: Bench, *, plugged: bool = True) -> None:
        self.printer = Printer(folder / "máy in")
        self.url = f"lines://{self.printer.link}?format=hex"
        if not plugged:
            self.printer.unplug()

    def close(self) -> None:
        self.printer.unplug()

    def over(self, wire: str) -> None:
        self.printer.wire = WIRES[wire]

    def vanish(self) -> None:
        self.printer.unplug()

    def play(self, *showings: Showing) -> None:
        if self.printer.master < 0:
            self.printer.plug()
        threading.Thread(target=self._play, args=(showings,), daemon=True).start()

    def _play(self, showings: tuple[Showing, ...]) -> None:
        with suppress(OSError, TimeoutError):
            self.printer.await_listener()
            for delay_ms, card, _ in showings:
                time.sleep(max(delay_ms / 1000, 2 * QUIET_S))
                self.printer.say(f"{card.hex}\r\n")


class OsdpScene:
    """Cards are moments here: a reader on RS-485 tells that one came, and nothing of how long it stays."""

    at_once = 2

    def __init__(self, folder: Path, _: Bench, *, plugged: bool = True) -> None:
        key_file = folder / "khóa"
        key_file.write_text("00112233445566778899AABBCCDDEEFF\n")
        key_file.chmod(0o600)
        self.pd = OsdpPd(folder / "cửa", bytes.fromhex(key_file.read_text()), address=3, plugged=plugged)
        self.url = f"osdp://{self.pd.link}?address=3&key-file={key_file}&baud=115200"

    def close(self) -> None:
        self.pd.close()

    def over(self, wire: str) -> None:
        if wire == "noisy":
            self.pd.faults = LineFaults(noise=0.3, broken=0.1, silent=0.02, short=0.02)
        else:
            self.pd.wire = {"by bytes": by_bytes, "slow": hesitant}[wire]

    def vanish(self) -> None:
        self.pd.unplug()

    def play(self, *showings: Showing) -> None:
        self.pd.plug()
        threading.Thread(target=self._play, args=(showings,), daemon=True).start()

    def _play(self, showings: tuple[Showing, ...]) -> None:
        began_s, at_ms = time.monotonic(), 0
        for delay_ms, card, _ in showings:
            at_ms += delay_ms
            time.sleep(max(0.0, began_s + at_ms / 1000 - time.monotonic()))
            self.pd.show(4 * len(card.hex), bytes.fromhex(card.hex))


TOLD_TIMES = 2
"""A driver on a busy machine may have given up on the first answer."""
TOLD_S = 15.0
"""In which a chip whose answers are faulty now and then tells of a card, however busy the machine is."""
ASKED_S = 2.0
"""In which a driver on a busy machine asks a card that its reader has noticed."""


class PcscScene:
    """PC/SC knows one card a reader: the second is met when the first has left, and stays as long as it would have.

    `least_ms`: in which reader, daemon and library power a card and ask it; one that is there for less isn't read.
    """

    at_once, least_ms = 1, 150

    def __init__(self, folder: Path, _: Bench, *, plugged: bool = True) -> None:
        self.url = "pcsc:K12%20Gate%2000%2000"
        self.daemon = Pcscd(folder / "pcscd")
        self._over = threading.Event()
        self._garbled = 0
        self._shows: threading.Thread | None = None
        if plugged:
            self.daemon.start()

    def close(self) -> None:
        self._over.set()
        if self._shows is not None:
            self._shows.join(15)
        self.daemon.stop()

    def over(self, wire: str) -> None:
        match wire:
            case "slow":
                self.daemon.slots[0].lag_s = 0.05
            case "noisy":
                self._garbled = 2
            case _:
                raise NotImplementedError

    def vanish(self) -> None:
        self._over.set()
        if self._shows is not None:
            self._shows.join(15)
        self._over = threading.Event()
        self.daemon.kill()

    def play(self, *showings: Showing) -> None:
        if not self.daemon.running:
            self.daemon.start()
        self._shows = threading.Thread(target=self._play, args=(showings,), daemon=True)
        self._shows.start()

    def _play(self, showings: tuple[Showing, ...]) -> None:
        slot, began_s, at_ms = self.daemon.slots[0], time.monotonic(), 0
        for delay_ms, card, hold_ms in showings:
            at_ms += delay_ms
            if self._over.wait(max(0.0, began_s + at_ms / 1000 - time.monotonic())):
                return
            slot.garbled = self._garbled
            unread = slot.answered + self._garbled
            slot.show(uid_card(bytes.fromhex(card.hex)))
            # Held to the reader until it was noticed, and from then on for its time.
            while not slot.powered.wait(0.1) and not self._over.is_set():
                pass
            self._over.wait(max(hold_ms, self.least_ms * (1 + self._garbled)) / 1000)
            # Taken away before it was asked, it would show the machine and not the driver.
            end_s = time.monotonic() + ASKED_S
            while slot.answered <= unread and time.monotonic() < end_s and not self._over.wait(0.01):
                pass
            slot.remove()


class SimulatedScene:
    """A person types `k12edge readers tap`; where nothing is plugged, another process has the name."""

    at_once = 2

    def __init__(self, folder: Path, _: Bench, *, plugged: bool = True) -> None:
        self.name = f"s-{secrets.token_hex(6)}"
        self.url = f"simulated:{self.name}"
        self._other = SimulatedReader(self.name)
        if not plugged:
            self._other.open()

    def close(self) -> None:
        self._other.close()

    def over(self, wire: str) -> None:
        raise NotImplementedError

    def vanish(self) -> None:
        raise NotImplementedError

    def play(self, *showings: Showing) -> None:
        self._other.close()
        threading.Thread(target=self._play, args=(showings,), daemon=True).start()

    def _play(self, showings: tuple[Showing, ...]) -> None:
        deadline = time.monotonic() + 10
        while not socket_path(self.name).exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        began_s, at_ms = time.monotonic(), 0
        for delay_ms, card, hold_ms in showings:
            at_ms += delay_ms
            time.sleep(max(0.0, began_s + at_ms / 1000 - time.monotonic()))
            with suppress(ReaderLost):
                hold(self.name, card, hold_ms)


Maker = Callable[..., Scene]
SCENES: dict[str, Maker] = {
    "keyboard": lambda folder, _, plugged=True: TypingScene(folder, plugged=plugged),
    "lines": LinesScene,
    "nfcpy": UsbScene,
    "osdp": OsdpScene,
    "pcsc": PcscScene,
    "pn532": Pn532Scene,
    "simulated": SimulatedScene,
    "replay": lambda folder, _, plugged=True: ReplayScene(folder),
}
