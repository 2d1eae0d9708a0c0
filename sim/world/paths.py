"""The ways between counters as they truly were: who could hear whom, looked at four times a second during meals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sim.world.loop import MS, SECOND

if TYPE_CHECKING:
    from sim.world.gateway import GatewayBox
    from sim.world.school import School
    from sim.world.truth import Held

LOOK_NS: Final = 250 * MS
CLEAR_S: Final = 6
"""Counters between which some way was clear for so long hear each other, and hold all that was told a second ago: a
process that began proves itself, and tells its day."""
GONE_S: Final = 4
"""Counters between which there is no way for so long don't take each other for heard (edge's HEARD_MS, and a look)."""


@dataclass(slots=True)
class _Way:
    """Between two processes: since when some way is clear, and since when there is none at all; None: it isn't so."""

    processes: tuple[tuple[str, int], tuple[str, int]]
    clear_ns: int | None = None
    gone_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What was so at a counter when something was shown there: its process, those it hears, those it can't hear."""

    device: str
    process: tuple[str, int]
    near: frozenset[tuple[str, int]] = field(default_factory=frozenset)
    gone: frozenset[str] = field(default_factory=frozenset)


class Paths:
    """See the room. A process is told by its box's name and how often that has started."""

    def __init__(self, school: School) -> None:
        """Nothing was looked at yet."""
        self._school = school
        self._ways: dict[tuple[str, str], _Way] = {}
        self._until_ns = 0
        self.seen: dict[str, Seen] = {}
        """What was so when a record was shown, by its name."""

    def look_until(self, until_ns: int) -> None:
        """Look from now on."""
        self._until_ns = until_ns
        self._look()

    def _look(self) -> None:
        counters = [box for box in self._school.gateways if box.has_counters]
        for number, one in enumerate(counters):
            for other in counters[number + 1 :]:
                self._judge(one, other)
        if self._school.loop.now_ns < self._until_ns:
            self._school.loop.after(LOOK_NS, self._look)

    def _judge(self, one: GatewayBox, other: GatewayBox) -> None:
        """Both ways between two counters: what is between them is the same, who knows whom isn't."""
        known, back = self._knows(one, other), self._knows(other, one)
        clear = known and back and self._is_clear(one, other)
        self._mark(one, other, clear=clear, gone=known and not clear and not self._is_any(one, other))
        self._mark(other, one, clear=clear, gone=back and not clear and not self._is_any(other, one))

    def _mark(self, one: GatewayBox, other: GatewayBox, *, clear: bool, gone: bool) -> None:
        now_ns, processes = self._school.loop.now_ns, (_process(one), _process(other))
        way = self._ways.get((one.name, other.name))
        if way is None or way.processes != processes:
            way = self._ways[one.name, other.name] = _Way(processes)
        way.clear_ns = None if not clear else now_ns if way.clear_ns is None else way.clear_ns
        way.gone_ns = None if not gone else now_ns if way.gone_ns is None else way.gone_ns

    def _knows(self, one: GatewayBox, other: GatewayBox) -> bool:
        """Whether a counter's sheet names the other, of which there is one box."""
        counter = None if one.assembly is None else one.assembly.counter
        if counter is None:
            return False
        device = other.config.gateway_id
        twins = len(self._school.boxes(device)) + len(self._school.boxes(one.config.gateway_id))
        if twins > 2:
            return False
        key = counter.keys().get(device)
        return key is not None and (other.assembly is None or other.assembly.keys.identity.key == key)

    def _is_clear(self, one: GatewayBox, other: GatewayBox) -> bool:
        school = self._school
        if max(one.stalled_until_ns, other.stalled_until_ns) > school.loop.now_ns:
            return False
        if school.lan.clear(one.host, other.host):
            return True
        rough = school.broker.rough
        odd = rough.lose or rough.double or rough.shuffle or school.broker.tamper is not None
        return not odd and self._by_broker(one, other)

    def _by_broker(self, one: GatewayBox, other: GatewayBox) -> bool:
        lines = one.line, other.line
        return self._school.broker.up and all(line.connected and not line.weather.dead for line in lines)

    def _is_any(self, one: GatewayBox, other: GatewayBox) -> bool:
        if not other.up:
            return False
        return self._school.lan.passes(one.host, other.host) or self._by_broker(one, other)

    def note(self, box: GatewayBox, held: Held) -> None:
        """Something was shown at a box."""
        if not box.has_counters or held.tap is None:
            return
        now_ns, near, gone = self._school.loop.now_ns, set(), set()
        mine = _process(box)
        for (name, _), way in self._ways.items():
            if name != box.name or way.processes[0] != mine:
                continue
            if way.clear_ns is not None and now_ns - way.clear_ns >= CLEAR_S * SECOND:
                near.add(way.processes[1])
            if way.gone_ns is not None and now_ns - way.gone_ns >= GONE_S * SECOND:
                gone.add(way.processes[1][0])
        self.seen[held.tap] = Seen(box.config.gateway_id, mine, frozenset(near), frozenset(gone))


def _process(box: GatewayBox) -> tuple[str, int]:
    return box.name, box.starts
