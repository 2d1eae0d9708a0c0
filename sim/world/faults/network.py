"""Faults of the network and the broker."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final

from sim.world.faults.kind import Begin, Kind
from sim.world.loop import SECOND
from sim.world.wires import Line

if TYPE_CHECKING:
    from sim.world.school import School


def _rough(name: str) -> Begin:
    def begin(school: School, rng: Random) -> Callable[[], None]:
        setattr(school.broker.rough, name, rng.choice((0.02, 0.2, 0.5)))
        return lambda: setattr(school.broker.rough, name, 0.0)

    return begin


def _a_gateway(school: School, rng: Random) -> Line:
    return rng.choice(school.gateways).line


def _cut_gateway(school: School, rng: Random) -> Callable[[], None]:
    line = _a_gateway(school, rng)
    line.cut()
    return line.mend


def _cut_hub(school: School, _rng: Random) -> Callable[[], None]:
    school.hub.line.cut()
    return school.hub.line.mend


def _half_open_gateway(school: School, rng: Random) -> Callable[[], None]:
    line = _a_gateway(school, rng)
    line.die()
    return line.mend


def _half_open_hub(school: School, _rng: Random) -> Callable[[], None]:
    school.hub.line.die()
    return school.hub.line.mend


def _broker_dies(school: School, _rng: Random) -> Callable[[], None]:
    school.truth.count("broker died")
    school.broker.stop(forget=False)
    return school.broker.start


def _broker_forgets(school: School, _rng: Random) -> Callable[[], None]:
    school.truth.count("broker died and forgot")
    school.broker.stop(forget=True)
    return school.broker.start


def _replays(school: School, rng: Random) -> Callable[[], None]:
    """Somebody who has listened says everything again: batches, states, receipts, the hub's words."""
    said: list[tuple[str, bytes]] = []
    broker, heard = school.broker, school.broker.heard
    going = [True]

    def listen(topic: str, payload: bytes) -> None:
        heard(topic, payload)
        if len(said) < 400:
            said.append((topic, payload))

    def say() -> None:
        if not going[0]:
            return
        if said and broker.up:
            topic, payload = rng.choice(said)
            school.truth.count("old message said again")
            for session in list(broker.sessions):
                if session.line.wants(topic):
                    broker._deliver(session, topic, payload, kept=rng.random() < 0.2)
        school.loop.after(rng.randrange(SECOND // 10, 3 * SECOND), say)

    def end() -> None:
        going[0] = False
        if broker.heard is listen:
            broker.heard = heard

    broker.heard = listen
    say()
    return end


def _tampers(school: School, rng: Random) -> Callable[[], None]:
    """Somebody on the wire changes a byte now and then."""

    def changed(_topic: str, payload: bytes) -> bytes | None:
        if not payload or rng.random() > 0.05:
            return None
        school.truth.count("message changed on the wire")
        at = rng.randrange(len(payload))
        return payload[:at] + bytes((payload[at] ^ 1 << rng.randrange(8),)) + payload[at + 1 :]

    school.broker.tamper = changed

    def end() -> None:
        school.broker.tamper = None

    return end


KINDS: Final = (
    Kind("broker-loses", "the broker acknowledges and loses", _rough("lose"), 5, 600, ("message lost by the broker",)),
    Kind("broker-doubles", "the broker delivers twice", _rough("double"), 5, 600, ("message doubled",)),
    Kind("broker-shuffles", "the broker delivers in another order", _rough("shuffle"), 5, 600, ("message shuffled",)),
    Kind("gateway-cut", "a gateway's network is cut", _cut_gateway, 1, 1800, ("connection cut",)),
    Kind("hub-cut", "the hub's way to the broker is cut", _cut_hub, 1, 900, ("connection cut",)),
    Kind(
        "gateway-half-open", "a gateway's connection goes dead", _half_open_gateway, 1, 300, ("connection half-open",)
    ),
    Kind("hub-half-open", "the hub's connection goes dead", _half_open_hub, 1, 300, ("connection half-open",)),
    Kind("broker-dies", "the broker dies", _broker_dies, 0.3, 120, ("broker died",)),
    Kind(
        "broker-forgets",
        "the broker dies and has forgotten all",
        _broker_forgets,
        0.3,
        120,
        ("broker died and forgot",),
    ),
    Kind("replays", "somebody says old messages again", _replays, 5, 300, ("old message said again",)),
    Kind("tampers", "somebody changes messages on the wire", _tampers, 5, 300, ("message changed on the wire",)),
)
