"""Reaction: from a card that the chip saw to its signal, quiet and while a large backlog drains, block by block."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.chain import GatewayProcess, School, until
from bench.figure import Broken, Figure, percentile
from bench.gate import Gate
from bench.probe import Noted, read_noted
from bench.taps import DEVICE
from bench.workshop import Workshop
from sim.emulators.bench import Bench

RATE = 5.0
BLOCK_S = 8.0
BLOCKS = 6
BLOCKS_MIN = 2
SETTLE_S = 60.0


class Lot:
    """A probed gateway with one gate, run or held still as a whole."""

    def __init__(self, folder: Path, device: str, url: str, bench: Bench) -> None:
        """Nothing runs yet."""
        self.gate = Gate(folder, device, bench)
        self.process = GatewayProcess(folder, device, readers=[self.gate.reader], sink=self.gate.sink, url=url)
        self.noted = folder / f"{device}.noted"
        self.blocks: list[tuple[float, float]] = []

    def start(self) -> None:
        """Start the gateway; returns when it polls."""
        self.process.start("-m", "bench.probe", str(self.noted))
        until(self.gate.polled, f"gateway {self.process.device} doesn't poll", also=self.process.check)

    def hold(self) -> None:
        """Stop its process where it stands, when the last signal has been noted: some looks of the chip later."""
        looks = self.gate.chip.looks
        until(lambda: self.gate.chip.looks > looks + 2, f"gateway {self.process.device} doesn't poll")
        self.process.send(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again; returns when it polls, since an exchange with the chip was cut by the standstill."""
        looks = self.gate.chip.looks
        self.process.send(signal.SIGCONT)
        until(lambda: self.gate.chip.looks > looks + 2, f"gateway {self.process.device} doesn't poll again")

    def block(self) -> None:
        """One block of taps."""
        self.blocks.append(self.gate.tap_for(BLOCK_S, RATE))

    def latencies_ms(self) -> list[list[float]]:
        """Commit-to-signal of each block."""
        noted: Noted = read_noted(self.noted)
        return [
            [(shown_s - began_s) * 1000 for began_s, shown_s in noted if low <= began_s <= high]
            for low, high in self.blocks
        ]


def measure_reaction(shop: Workshop) -> list[Figure]:
    """Rows 3 and 4 of the table."""
    shop.say("3 and 4: card to signal, quiet and while a backlog drains")
    room = shop.room("reaction")
    with ExitStack() as stack:
        bench = stack.enter_context(Bench())
        school = School(room, city=True)
        stack.callback(school.stop)
        quiet = Lot(room, "vang", school.broker_url, bench)
        loaded = Lot(room, DEVICE, school.broker_url, bench)
        shop.owing_gateway(loaded.process.data_dir)
        school.start()
        for lot in (quiet, loaded):
            school.command("devices", "accept", lot.process.device)
            stack.callback(lot.gate.close)
            stack.callback(lot.process.stop)
            stack.callback(_let_run, lot)
            lot.start()
        left = _alternate(shop, school, quiet, loaded)
        for lot in (quiet, loaded):
            _let_run(lot)
            lot.process.stop()
    return [*_quiet_figures(quiet), *_loaded_figures(quiet, loaded, left)]


def _let_run(lot: Lot) -> None:
    try:
        lot.process.send(signal.SIGCONT)
    except (AssertionError, ProcessLookupError):
        return


def _alternate(shop: Workshop, school: School, quiet: Lot, loaded: Lot) -> list[int]:
    """Quiet block, loaded block, ...; what the loaded gateway still owed after each of its blocks."""
    left: list[int] = []
    loaded.hold()
    for number in range(shop.rounds(BLOCKS)):
        until(school.city_settled, "the city didn't settle", within_s=SETTLE_S)
        quiet.go_on()
        quiet.block()
        quiet.hold()
        loaded.go_on()
        loaded.block()
        loaded.hold()
        left.append(shop.backlog - _held(school, loaded.process.device))
        shop.say(f"block {number + 1}: {left[-1]:,} taps of the backlog left")
        if left[-1] <= 0:
            # A fast machine: what was measured of this block was not all under a backlog.
            for lot in (quiet, loaded):
                lot.blocks.pop()
            left.pop()
            break
    if len(left) < BLOCKS_MIN:
        raise Broken("the backlog had drained before the blocks ended")
    return left


def _held(school: School, device: str) -> int:
    state = school.status()
    if state is None:
        raise Broken("the hub doesn't answer")
    return int(next(entry["records"] for entry in state["devices"] if entry["device"] == device))


def _quiet_figures(quiet: Lot) -> list[Figure]:
    gate = quiet.gate
    about = f"{gate.taps} taps of at most 150 ms at {RATE:g}/s, hub, broker and city running"
    p99 = percentile(gate.seen_ms, 0.99)
    placed = f"from the placing p50 {median(gate.placed_ms):.1f} ms, p99 {percentile(gate.placed_ms, 0.99):.1f} ms"
    return [
        Figure(
            3,
            "card seen by the chip to signal, p99",
            p99,
            "ms",
            30,
            low=min(gate.seen_ms),
            high=max(gate.seen_ms),
            beside=f"p50 {median(gate.seen_ms):.1f} ms; {placed}",
            note=about,
        ),
        Figure(3, "caught", 100 * gate.caught / gate.taps, "%", 100, at_least=True, note=about),
    ]


def _loaded_figures(quiet: Lot, loaded: Lot, left: list[int]) -> list[Figure]:
    still, busy = quiet.latencies_ms(), loaded.latencies_ms()
    ratios = [median(there) / median(here) for here, there in zip(still, busy, strict=True)]
    here, there = [x for block in still for x in block], [x for block in busy for x in block]
    gate = loaded.gate
    if gate.caught != gate.taps:
        raise Broken(f"{gate.taps - gate.caught} of {gate.taps} taps got no signal: {'; '.join(gate.missed)}")
    about = (
        f"{len(here)} and {len(there)} taps in {len(still)} alternating blocks; {left[-1]:,} owed at the end; chip to"
        f" signal p50 {median(gate.seen_ms):.1f} ms, p99 {percentile(gate.seen_ms, 0.99):.1f} ms, 100 % caught"
    )
    low, high = percentile(here, 0.99), percentile(there, 0.99)
    return [
        Figure(
            4,
            "commit to signal, p50, backlog draining / quiet",
            median(there) / median(here),
            "x",
            1.25,
            low=min(ratios),
            high=max(ratios),
            beside=f"{median(there):.2f} ms / {median(here):.2f} ms",
            note=about,
        ),
        Figure(
            4,
            "commit to signal, p99, backlog draining / quiet",
            high / low,
            "x",
            4,
            beside=f"{high:.2f} ms / {low:.2f} ms",
            note=about,
        ),
    ]
