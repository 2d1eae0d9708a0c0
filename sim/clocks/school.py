"""A school whose machines' clocks a test sets: a road of real processes, with people who tap at real readers."""

from __future__ import annotations

import time
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from protocol.anchors import dated
from protocol.envelope import decode_event, unix_ms_of
from sim.emulators.bench import Bench
from sim.emulators.pn532 import FieldCard, Pn532Emulator
from sim.emulators.pupils import ANSWERS, Shown, SignalTail
from sim.parts import Part, PartFailed, audit, get_json, until
from sim.preload.control import Control, build
from sim.preload.machine import Machine, World
from sim.reckoning import only_taps, signalled_taps
from sim.road import Road

TAP_S: Final = 40.0
CONNECT_S: Final = 90.0
"""A gateway that was alone for a while tries the broker ever more rarely, at most once a minute."""
TELLING_MS: Final = 1_000
TELLING_S: Final = 2.0
HALF_MINUTES_MAX: Final = 20
"""Half minutes that are let pass until a gateway is told the time, and seconds of ours that each may take."""
HOLD_S: Final = 900
SLACK_MS: Final = 40
"""Between the test's look at the true time and the reader's first look at the card."""


@dataclass(frozen=True, slots=True)
class Tapped:
    """A tap that was signalled: its id, signal, card, station, and the true times (Unix ms) it lies between."""

    tap: str
    signal: str
    uid: bytes
    station: str
    from_ms: float
    to_ms: float
    exact: bool


@dataclass(slots=True)
class Box:
    """One gateway on its own machine, with one reader. `exact`: taps from now on shall be dated within a second."""

    name: str
    part: Part
    machine: Machine
    reader: Pn532Emulator
    tail: SignalTail
    world: World
    rng: Random
    exact: bool = False
    taps: list[Tapped] = field(default_factory=list)
    _backlog: list[Shown] = field(default_factory=list)

    def start(self) -> None:
        """Start the gateway; returns when its reader is polled."""
        looks = self.reader.looks
        self.part.start()
        until(lambda: self.reader.looks > looks + 2, f"{self.name} doesn't poll", also=self.part.check)

    def uid(self) -> bytes:
        """A card that nobody has tapped yet."""
        return b"\x04" + self.rng.randbytes(6)

    def tap(self, uid: bytes | None = None) -> Tapped:
        """Hold a card to the reader until the station has answered. Raises PartFailed."""
        uid = uid or self.uid()
        from_ms = self.world.now_ns() / 1e6
        self.tail.read()
        self.reader.place(FieldCard(uid))
        shown: list[Shown] = []

        def answered() -> bool:
            shown.extend(one for one in self.tail.read() if one.signal in ANSWERS)
            return bool(shown)

        until(answered, f"{self.name} doesn't signal", also=self.part.check, within_s=TAP_S)
        self.reader.remove()
        to_ms = self.world.now_ns() / 1e6
        assert shown[0].tap is not None and shown[0].station is not None
        tapped = Tapped(shown[0].tap, shown[0].signal, uid, shown[0].station, from_ms, to_ms, self.exact)
        self.taps.append(tapped)
        return tapped

    def expect(self, signal: str, uid: bytes | None = None) -> Tapped:
        """Tap, and have this signal. Raises PartFailed for another."""
        tapped = self.tap(uid)
        if tapped.signal != signal:
            raise PartFailed(f"{self.name}: a tap was {tapped.signal}, not {signal}")
        return tapped

    def away(self, uid: bytes) -> None:
        """The card leaves the field for long enough that its next coming is another sighting."""
        looks = self.reader.looks
        until(lambda: self.reader.looks > looks + 3, f"{self.name} doesn't poll", also=self.part.check)
        time.sleep(0.6)  # The driver's own time (edge.readers.presence.GONE_NS); nothing tells when it has passed.

    def reboot(self, wall_ms: int | None = None) -> None:
        """Cut the power; the machine starts anew, by default in 1970."""
        self.part.kill()
        self.machine.boot(wall_ms)


class ClockSchool:
    """City, hub on a machine of its own, gateways each on theirs. `world` knows the truth."""

    def __init__(self, folder: Path, true_ms: int, seed: int, *, hold_s: int = HOLD_S) -> None:
        """Nothing is started. The hub's machine is booted with its clock right, and without NTP."""
        self.folder, self._rng, self._hold_s = folder, Random(seed), hold_s
        self._library = build(folder)
        self.world = World(true_ms)
        self.road = Road(folder)
        with self.road.hub_config.open("a", encoding="utf-8") as config:
            config.write(f"city_hold_s = {hold_s}\n")
        self.hub = self._machine("hub")
        self.hub.boot(int(self.world.now_ns() // 1_000_000))
        self.road.hub.environment = self.hub.control.environment()
        self.bench = Bench()
        self.boxes: list[Box] = []

    def _machine(self, name: str) -> Machine:
        return Machine(self.world, Control(self.folder / f"{name}.shim", self._library), self._rng.getrandbits(32))

    def add(self, name: str, source: str = "auto", *, zone: str | None = None) -> Box:
        """A gateway, not started; its machine is off. `source`: [time] source; `zone`: its TZ."""
        link = self.folder / f"reader-{name}"
        reader = self.bench.add(link, seed=len(self.boxes))
        part = self.road.add_gateway(name, {"cong": ("gate", f"pn532://{link}")}, more=f'[time]\nsource = "{source}"')
        machine = self._machine(name)
        part.environment = {**machine.control.environment(), **({} if zone is None else {"TZ": zone})}
        tail = SignalTail(self.road.signals_of(name))
        box = Box(name, part, machine, reader, tail, self.world, Random(self._rng.getrandbits(32)))
        self.boxes.append(box)
        return box

    def start_keepers(self) -> None:
        """City and hub; every gateway is accepted."""
        if self.road.city.process is None:
            self.road.city.start(wait=False)
        self.road.hub.start()
        self.road.accept()

    def connected(self) -> None:
        """Wait until the hub hears every gateway. Raises PartFailed."""
        until(self.road.connected, "a gateway doesn't connect", also=self.road.check, within_s=CONNECT_S)

    def forward(self, by_s: float, off_ppm: dict[str, int] | None = None) -> None:
        """Time passes at once, on every machine by its own crystal: ppm off by gateway (or `hub`), else exact."""
        ppm = off_ppm or {}
        machines = {box.machine: ppm.get(box.name, 0) for box in self.boxes if box.machine.boot_id}
        self.world.forward(int(by_s * 1e9), {**machines, self.hub: ppm.get("hub", 0)})

    def told_the_time(self, box: Box) -> None:
        """Let half minutes pass until a gateway says that the hub's time is worth a second to it. Raises PartFailed.

        A question that was under way while time was moved on took as long as that, and its answer is worth little.
        """
        for _ in range(HALF_MINUTES_MAX):
            self.forward(31)
            with suppress(PartFailed):
                until(lambda: self._bound_ms(box) <= TELLING_MS, "it isn't told", within_s=TELLING_S)
                return
        raise PartFailed(f"{box.name} isn't told the time: {self.trouble()}")

    def _bound_ms(self, box: Box) -> int:
        devices = (self.road.status() or {}).get("devices", [])
        said = next((device["error_ms"] for device in devices if device["device"] == box.name), None)
        return TELLING_MS + 1 if said is None else int(said)

    def settled(self) -> None:
        """Wait until all is at the hub and what may go is at the city. Raises PartFailed."""
        until(
            self.road.drained, "not everything arrived", also=self.road.check, moving=self._moving, within_s=CONNECT_S
        )

    def _moving(self) -> object:
        return self.road.progress(), self.at_city_count()

    def at_city_count(self) -> int:
        """Records that the city holds."""
        return len(self.at_city())

    def at_city(self) -> dict[str, list[Item]]:
        """Event id -> its items of the city's audit. Raises PartFailed."""
        return _audit(f"{self.road.city_url}/k12edge/v1/events")

    def wait_at_city(self, tapped: Tapped, within_s: float = CONNECT_S) -> None:
        """Until the city holds a tap. Raises PartFailed."""
        until(
            lambda: tapped.tap in self.at_city(),
            f"{tapped.tap} is not at the city",
            also=self.road.check,
            within_s=within_s,
        )

    def trouble(self) -> Any:
        """What the hub tells of itself, for a report."""
        return get_json(f"{self.road.hub_url}/v1/status")

    def stop(self) -> dict[str, int]:
        """End everything; exit codes of those that didn't end cleanly."""
        codes = self.road.stop()
        self.bench.close()
        return {name: code for name, code in codes.items() if code}


class _Said(msgspec.Struct):
    """An effective time as the audit tells it."""

    best: str
    not_before: str | None
    not_after: str | None
    quality: str


class Item(msgspec.Struct):
    """A record of the audit and when it was."""

    event: msgspec.Raw
    effective: _Said


class _Page(msgspec.Struct):
    items: list[Item]
    next: str | None


def _audit(url: str) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = {}
    after = ""
    while True:
        try:
            with urllib.request.urlopen(f"{url}?limit=1000&after={after}", timeout=30) as answer:
                page = msgspec.json.decode(answer.read(), type=_Page)
        except (OSError, msgspec.DecodeError) as problem:
            raise PartFailed(f"{url} can't be read: {problem}") from problem
        for item in page.items:
            found.setdefault(decode_event(bytes(item.event)).id, []).append(item)
        if page.next is None:
            return found
        after = page.next


@dataclass(slots=True)
class Dating:
    """What the city says of the taps' times, held against the truth."""

    taps: int = 0
    exact: int = 0
    bounded: int = 0
    open: int = 0
    worst_exact_ms: float = 0.0
    widest_ms: float = 0.0
    problems: list[str] = field(default_factory=list)


def check_once(school: ClockSchool) -> list[str]:
    """Taps signalled, at the hub and at the city are the same ones, each once, with the same bytes; else what isn't.

    Raises PartFailed when one can't be asked.
    """
    shown = {tap for box in school.boxes for tap in signalled_taps([school.road.signals_of(box.name)])}
    hub = only_taps(audit(f"{school.road.hub_url}/v1/ledger/events"))
    city = only_taps(audit(f"{school.road.city_url}/k12edge/v1/events"))
    problems = [f"{name}: signalled, not at the city" for name in shown - {name for name, _ in city}]
    problems += [f"{name}: at the city, never signalled" for name in {name for name, _ in city} - shown]
    problems += [f"{name}: {count} times" for held in (hub, city) for name, count in Counter(held).items() if count > 1]
    return problems + [f"{name}: hub and city differ" for name, _ in set(hub) ^ set(city)]


def check_dates(school: ClockSchool) -> Dating:
    """Hold every tap that was signalled to the city's word on it. Raises PartFailed when the city can't be asked."""
    found = Dating()
    held = school.at_city()
    for box in school.boxes:
        last: dict[str, tuple[int, float]] = {}
        for tapped in box.taps:
            found.taps += 1
            items = held.get(tapped.tap, [])
            if len(items) != 1:
                found.problems.append(f"{box.name}: {tapped.tap} is {len(items)} times at the city")
                continue
            _check_one(found, box, tapped, items[0], last)
    return found


def _check_one(found: Dating, box: Box, tapped: Tapped, item: Item, last: dict[str, tuple[int, float]]) -> None:
    event = decode_event(bytes(item.event))
    reading = dated(event)
    assert reading is not None
    truth_ms = box.machine.truth_ms(reading.boot, reading.mono)
    name = f"{box.name}: {tapped.tap}"
    if not tapped.from_ms - SLACK_MS <= truth_ms <= tapped.to_ms + SLACK_MS:
        found.problems.append(f"{name}: its CLOCK_BOOTTIME is {truth_ms - tapped.from_ms:.0f} ms off the tap")
    if reading.own is not None and abs(reading.own.wall_ms - truth_ms) > reading.own.err:
        off_ms = reading.own.wall_ms - truth_ms
        found.problems.append(f"{name}: its own time is off by {off_ms:.0f} ms, bound {reading.own.err} ms")
    effective = item.effective
    best_ms = unix_ms_of(effective.best)
    bounds = [None if text is None else unix_ms_of(text) for text in (effective.not_before, effective.not_after)]
    if (bounds[0] is not None and truth_ms < bounds[0]) or (bounds[1] is not None and truth_ms > bounds[1]):
        found.problems.append(f"{name}: the truth is outside its interval ({best_ms - truth_ms:+.0f} ms, {effective})")
    if effective.quality == "anchored":
        assert bounds[0] is not None and bounds[1] is not None
        found.bounded += 1
        found.widest_ms = max(found.widest_ms, bounds[1] - bounds[0])
    found.open += None in bounds
    if tapped.exact:
        found.exact += 1
        found.worst_exact_ms = max(found.worst_exact_ms, abs(best_ms - truth_ms))
        if effective.quality != "anchored" or abs(best_ms - truth_ms) > 1000:
            found.problems.append(f"{name}: dated {best_ms - truth_ms:+.0f} ms off the truth, {effective.quality}")
    sequence = event.tap.sequence
    before = last.get(event.tap.journal)
    if before is not None and (sequence <= before[0] or truth_ms < before[1]):
        found.problems.append(f"{name}: it stands before an earlier tap")
    last[event.tap.journal] = sequence, truth_ms
