"""A broker that acknowledges and forgets, between a real gateway and its hub: acknowledged is not held."""

from __future__ import annotations

from pathlib import Path
from random import Random

from sim.emulators.forgetful import ForgetfulBroker
from sim.parts import free_ports, until
from sim.road import Road

STATIONS = 8
TAPS = 50
"""A station, and no more than its lane holds: on a slow disk those beyond would get an alarm, as they should."""
FORGOTTEN_MIN = 5


def test_what_a_broker_forgot_is_offered_again(tmp_path: Path) -> None:
    rng = Random(8)
    port = free_ports(1)[0]
    road = Road(tmp_path)
    broker_port = int(road.broker_url.rpartition(":")[2])
    stations = {}
    for number in range(STATIONS):
        queue = tmp_path / f"queue-{number}.txt"
        lines = (f"80 a:04{rng.randbytes(6).hex().upper()} 20\n" for _ in range(TAPS))
        queue.write_text("".join(lines), encoding="ascii")
        stations[f"cong-{number}"] = ("gate", f"replay:{queue}")
    gateway = road.add_gateway("cong", stations, uplink=f"mqtt://127.0.0.1:{port}")
    with ForgetfulBroker("127.0.0.1", broker_port, lambda _: rng.random() < 0.5, port=port) as forgetful:
        try:
            road.city.start()
            road.hub.start()
            road.accept()
            gateway.start()
            until(
                lambda: road.answered("cong") >= STATIONS * TAPS and road.connected(),
                "not everybody was signalled",
                also=road.check,
                moving=road.progress,
            )
            until(
                lambda: forgetful.forgotten >= FORGOTTEN_MIN,
                "nothing was forgotten",
                also=road.check,
                within_s=60,
                moving=road.progress,
            )
            forgetful.forgets = lambda _: False
            until(
                road.drained,
                f"not everything arrived: {road.status()}",
                also=road.check,
                within_s=60,
                moving=road.progress,
            )
            found = road.reckon(1)
        finally:
            ends = road.stop()
    assert found.kept, found.as_json()
    assert found.signals >= STATIONS * TAPS
    assert found.signals == found.journal == found.hub == found.city
    assert ends == dict.fromkeys(ends, 0)
