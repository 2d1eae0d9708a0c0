"""The footprint of a gateway without a kiosk: memory, start, and the work of polling a reader."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.chain import GatewayProcess, School, free_ports, until
from bench.figure import Broken, Figure
from bench.gate import Gate
from bench.taps import DEVICE
from bench.workshop import Workshop
from sim.emulators.bench import Bench
from sim.emulators.pn532 import FieldCard

STARTS = 9
POLL_S = 20.0
SETTLE_S = 3.0
START_LATE_S = 10.0


def rss_mib(pid: int) -> float:
    """What a process holds in memory now."""
    return _status_kib(pid, "VmRSS") / 1024


def peak_mib(pid: int) -> float:
    """The most that a process ever held in memory."""
    return _status_kib(pid, "VmHWM") / 1024


def _status_kib(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise Broken(f"/proc/{pid}/status says no {name}")


def cpu_s(pid: int) -> float:
    """Processor time that the threads of a process have used, to the nanosecond: ticks would miss short turns."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9


def measure_footprint(shop: Workshop) -> list[Figure]:
    """Row 7 of the table; the peak while a backlog drains comes from row 5's runs."""
    shop.say("7 footprint: memory, start, polling")
    with ExitStack() as stack:
        bench = stack.enter_context(Bench())
        return [*_idle(shop, bench), _owing(shop, bench), _first_tap(shop, bench)]


def _gateway(folder: Path, bench: Bench, url: str | None = None) -> tuple[Gate, GatewayProcess]:
    """A gateway with one emulated PN532; without `url` its upstream is down."""
    gate = Gate(folder, DEVICE, bench)
    url = url or f"mqtt://127.0.0.1:{free_ports(1)[0]}"
    return gate, GatewayProcess(folder, DEVICE, readers=[gate.reader], sink=gate.sink, url=url)


def _idle(shop: Workshop, bench: Bench) -> list[Figure]:
    room = shop.room("idle")
    with ExitStack() as stack:
        school = School(room)
        stack.callback(school.stop)
        gate, gateway = _gateway(room, bench, school.broker_url)
        stack.callback(gate.close)
        stack.callback(gateway.stop)
        school.start()
        school.command("devices", "accept", DEVICE)
        gateway.start()
        until(gate.polled, "the gateway doesn't poll", also=gateway.check)
        until(lambda: _connected(school), "the gateway doesn't reach its hub", also=gateway.check)
        time.sleep(SETTLE_S)
        looks, used_s, began_s = gate.chip.looks, cpu_s(gateway.pid), time.monotonic()
        time.sleep(POLL_S / 3 if shop.quick else POLL_S)
        took_s = time.monotonic() - began_s
        share = 100 * (cpu_s(gateway.pid) - used_s) / took_s
        rate = (gate.chip.looks - looks) / took_s
        return [
            Figure(7, "RSS idle", rss_mib(gateway.pid), "MiB", 40, note="one PN532, connected to its hub"),
            Figure(
                7, "CPU while polling a PN532", share, "% of a core", 3, note=f"{rate:.0f} looks a second, connected"
            ),
        ]


def _connected(school: School) -> bool:
    state = school.status()
    return state is not None and any(device["link"] == "connected" for device in state["devices"])


def _owing(shop: Workshop, bench: Bench) -> Figure:
    gate, gateway = _gateway(shop.room("owing-idle"), bench)
    shop.owing_gateway(gateway.data_dir)
    gateway.start()
    try:
        until(gate.polled, "the gateway doesn't poll", also=gateway.check)
        if not gate.tap():
            raise Broken("a gateway with a backlog gave no signal")
        time.sleep(SETTLE_S)
        peak = peak_mib(gateway.pid)
        note = f"{shop.backlog:,} taps owed, upstream down, peak since the start"
        return Figure(7, "RSS with a backlog", peak, "MiB", 50, beside=f"now {rss_mib(gateway.pid):.1f} MiB", note=note)
    finally:
        gateway.stop()
        gate.close()


def _first_tap(shop: Workshop, bench: Bench) -> Figure:
    """From the process's start to the signal of a card that lies at the reader already."""
    mine: list[float] = []
    bare: list[float] = []
    for _ in range(shop.rounds(STARTS)):
        began_s = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import sqlite3"], check=True)
        bare.append((time.perf_counter() - began_s) * 1000)
        gate, gateway = _gateway(shop.room("start"), bench)
        gate.chip.place(FieldCard(bytes.fromhex("04A1B2C3D4E580")))
        began_s = time.perf_counter()
        gateway.start()
        try:
            found = gate.signals(START_LATE_S)
            mine.append((time.perf_counter() - began_s) * 1000)
            gateway.check()
            if not any(shown.signal == "accepted" and shown.tap for shown in found):
                raise Broken("the first card got no signal")
        finally:
            gateway.stop()
            gate.chip.remove()
            gate.close()
    return Figure(
        7,
        "start to first durable tap",
        median(mine),
        "ms",
        500,
        low=min(mine),
        high=max(mine),
        beside=f"a bare Python with sqlite3 {median(bare):.0f} ms",
        note=f"{len(mine)} starts, upstream down, a card at the PN532, no journal yet",
    )
