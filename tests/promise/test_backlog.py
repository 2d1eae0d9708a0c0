"""A hub that was away: thousands of taps wait in a journal, and the killed hub takes them all exactly once."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from sim.parts import free_ports, mosquitto, until
from sim.road import Road

STATIONS = 40


def _queues(folder: Path, taps: int) -> dict[str, tuple[str, str]]:
    rng = Random(3)
    stations = {}
    for number in range(STATIONS):
        path = folder / f"queue-{number}.txt"
        path.write_text("".join(f"30 a:04{rng.randbytes(6).hex().upper()} 4\n" for _ in range(taps)), encoding="ascii")
        stations[f"cong-{number}"] = ("gate", f"replay:{path}")
    return stations


def refused(road: Road) -> int:
    """Cards that found their lane full, as on a very slow disk, and got an alarm: they weren't promised anything."""
    shown = road.signals_of("cong")
    return shown.read_bytes().count(b'"lane-full"') if shown.exists() else 0


@pytest.mark.parametrize(("broker", "taps"), [("embedded", 4_000), ("mosquitto", 2_000)])
def test_a_backlog_drains_through_kills(broker: str, taps: int, tmp_path: Path) -> None:
    own = mosquitto(tmp_path, free_ports(1)[0]) if broker == "mosquitto" else None
    road = Road(tmp_path, broker_url=None if own is None else f"mqtt://127.0.0.1:{own.words[-1]}")
    gateway = road.add_gateway("cong", _queues(tmp_path, taps // STATIONS))
    try:
        if own is not None:
            own.start()
        # Nobody but the gateway runs; the hub first comes when all have tapped.
        gateway.start()
        until(
            lambda: road.answered("cong") + refused(road) >= taps,
            "not everybody was signalled",
            also=gateway.check,
            moving=road.progress,
        )
        road.city.start()
        road.hub.start()
        road.accept()

        def arrived() -> int:
            state = road.status()
            return 0 if state is None else int(state["records"])

        until(lambda: arrived() > taps // 5, "nothing drains", also=road.check, within_s=60, moving=road.progress)
        road.hub.kill()
        road.hub.start()
        until(lambda: arrived() > taps // 2, "nothing drains", also=road.check, within_s=60, moving=road.progress)
        gateway.kill()
        for queue in tmp_path.glob("queue-*.txt"):
            queue.write_text("# everybody has tapped\n", encoding="ascii")
        gateway.start()
        until(
            road.drained, f"not everything arrived: {road.status()}", also=road.check, within_s=60, moving=road.progress
        )
        found = road.reckon(STATIONS)
    finally:
        ends = road.stop()
        if own is not None:
            own.stop()
    assert found.kept, found.as_json()
    assert found.signals >= taps - refused(road)
    assert found.signals > taps // 2, "this disk is too slow for a crowd like this"
    assert found.journal == found.hub == found.city
    assert ends == dict.fromkeys(ends, 0)
