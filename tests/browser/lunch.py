"""A lunch at a real gateway: its process with a simulated and a serial reader, the sheet and roster of a hub, a broker
that comes and goes, and a disk that fills; for a browser before its screens."""

from __future__ import annotations

import os
import subprocess
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from edge.mqtt import MqttLink
from edge.readers.simulated import hold
from protocol.cards import CardUid
from protocol.countersheet import Eater
from protocol.roster import Release, pack_release
from protocol.topics import hub_state_topic
from sim.emulators.lines import Printer
from sim.parts import free_ports
from tests.edge.canteen.canteen import DEVICE, HUB, KEY, SCHOOL, Canteen, hashed, sheet
from tests.edge.room import events, hub_state
from tests.edge.running import GatewayProcess, until
from tests.hub.running import mosquitto

QUAY: Final = "quay-1"
SERIAL: Final = "quay-2"
"""The station whose reader is unplugged."""
PIN: Final = "271828"
WINDOW_S: Final = 4
"""Within which a card is the same tray at `QUAY`; shorter than at a real counter: a test waits for a second one."""
DISK_BYTES: Final = 2 * 1024 * 1024
AWAY_S: Final = 0.7
"""A card that is held again so much later was away in between: readers forget one after 500 ms."""
CLASSES: Final = ("3/2", "4/1")


def card_of(student: str) -> CardUid:
    """The card of a pupil of this lunch; of anybody else a card that no roster has."""
    return CardUid("a", f"04A1B2{zlib.crc32(student.encode()):08X}")


def pupils(school_class: str) -> list[Eater]:
    """The same few pupils in each class: one eats porridge and no peanuts."""
    key = school_class.replace("/", "-")
    return [
        Eater(f"an-{key}", "Nguyễn Thị Hoà An", school_class, "porridge", ["lunch"], True, ["lạc"], True),
        Eater(f"binh-{key}", "Đặng Bình", school_class, "regular", ["lunch"], True, ["trứng"], False),
        Eater(f"chi-{key}", "Lê Chi", school_class, "regular", ["lunch"]),
    ]


@dataclass(slots=True)
class Lunch:
    """See the room. `begun`: how often it was gone through, once a size of the screens."""

    folder: Path
    disk: Path
    port: int
    broker_port: int
    gateway: GatewayProcess
    serial: Printer
    begun: int = 0
    _broker: ExitStack = field(default_factory=ExitStack)
    _away_s: dict[str, float] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where the screens are."""
        return f"http://127.0.0.1:{self.port}"

    def tap(self, student: str) -> None:
        """Hold a pupil's card to the reader, once it was away from it, and wait for its signal."""
        card = card_of(student)
        until(lambda: time.monotonic() > self._away_s.get(student, 0.0), "the card was away")

        def signals() -> int:
            return sum(shown["card"] == KEY.keyed(card) for shown in self.gateway.shown())

        before = signals()
        hold(f"kiosk-{os.getpid()}", card, 30)
        until(lambda: signals() > before, f"a signal for {student}")
        self._away_s[student] = time.monotonic() + AWAY_S

    def records(self) -> list[Any]:
        """Everything on the disk."""
        return events(self.gateway.data)

    # --- what fails ---------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """The broker comes, and the hub says that it is ready."""
        url, _ = self._broker.enter_context(mosquitto(self.folder, self.broker_port))
        link = MqttLink(url, "hub", Random(1), ["nothing"])
        link.start(lambda *_: None, lambda up: up and self._ready(link))
        self._broker.callback(link.stop)

    def _ready(self, link: MqttLink) -> None:
        link.publish(hub_state_topic(SCHOOL), msgspec.json.encode(hub_state(HUB)), retain=True)

    def disconnect(self) -> None:
        """The broker dies."""
        self._broker.close()

    def fill(self) -> Path:
        """Leave no byte on the gateway's disk; the file to remove again."""
        filler = self.disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1024))
            except OSError:
                return filler

    def again(self) -> None:
        """Start the gateway, which was killed."""
        self.gateway.start()
        self.gateway.await_signal("accepted")


@contextmanager
def lunch(folder: Path) -> Iterator[Lunch]:
    """A lunch with nobody there yet, and no broker; on a small disk of its own where one can be mounted."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "k12edge-test", str(disk)]
    mounted = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True, check=False).returncode
    port, broker_port = free_ports(2)
    try:
        _furnish(disk)
        serial = Printer(folder / "serial")
        gateway = GatewayProcess(folder, data=disk / "data")
        gateway.config.write_text(_config(gateway, serial, port, broker_port), encoding="utf-8")
        made = Lunch(folder, disk, port, broker_port, gateway, serial)
        gateway.start()
        try:
            yield made
        finally:
            made.disconnect()
            code = gateway.end()
        assert code == 0
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(disk)], check=True)


def _furnish(disk: Path) -> None:
    """What a hub sent before: keys, the canteen's roster, today's sheet."""
    canteen = Canteen(disk)
    eaters = [eater for name in CLASSES for eater in pupils(name)]
    cards = {KEY.keyed(card_of(one.student)): [one.student, one.name, one.school_class] for one in eaters}
    lost = {KEY.keyed(card_of(f"lost-{name.replace('/', '-')}")): "lost" for name in CLASSES}
    release = Release("r-20261122T180011Z-1", 1, SCHOOL, "canteen", [1], cards, lost)
    canteen.assembly.rosters.take("canteen", pack_release(release))
    assert canteen.lay(
        sheet(eaters=eaters, pins={"lan": hashed(PIN)}, staff={"lan": "Cô Lan"}, counters={DEVICE: HUB.key})
    )
    canteen.close()


def _config(gateway: GatewayProcess, serial: Printer, port: int, broker_port: int) -> str:
    return "\n".join(
        [
            f'[gateway]\nid = "{DEVICE}"\nschool = "{SCHOOL}"\ndata_dir = "{gateway.data}"\nhub_key = "{HUB.key}"',
            '[time]\nsource = "declared"',
            f'[signals]\nsinks = ["jsonl:{gateway.signals}"]',
            f'[uplink]\nurl = "mqtt://127.0.0.1:{broker_port}"',
            f'[kiosk]\nlisten = "127.0.0.1:{port}"',
            f'[[station]]\nname = "{QUAY}"\nkind = "canteen"\nreader = "simulated:kiosk-{os.getpid()}"',
            f"repeat_window_s = {WINDOW_S}",
            f'[[station]]\nname = "{SERIAL}"\nkind = "canteen"\nreader = "lines://{serial.link}?format=8h10d"',
            "",
        ]
    )
