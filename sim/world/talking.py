"""A simulated box's exchange with other counters: the production exchange on the simulated network, turn by turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from edge.assembly import Assembly
from edge.canteen.counter import GatewayCounter
from edge.canteen.exchange import Exchange
from edge.canteen.ports import Hears
from edge.canteen.talk import Talk
from protocol.served import Told
from sim.world.lan import Lan
from sim.world.loop import MS, SECOND, Loop, Turn

LINGER_S: Final = 10
"""Outside of meals counters talk on for so long after one of them served; in between nobody would learn anything."""
OWED_MS: Final = 250
"""What is due sooner is an answer, or told again: no heartbeat."""


class WokenExchange(Exchange):
    """The production exchange; its thread is the box's turn."""

    def __init__(
        self, talk: Talk, hears: Hears, served: Callable[[], None], woken: Callable[[], None], **words: Any
    ) -> None:
        """`served` is called where the thread would be for a serving of ours, `woken` for what the broker brought."""
        self._served, self._woken = served, woken
        super().__init__(talk, hears, **words)

    def said(self, told: Told) -> None:
        """See Exchange.said."""
        super().said(told)
        self._served()

    def by_broker(self, topic: str, payload: bytes) -> bool:
        """See Exchange.by_broker."""
        taken = super().by_broker(topic, payload)
        if taken:
            self._woken()
        return taken


class Talking:
    """See the room. Counters talk from `until` being set, which the school does for its meals."""

    def __init__(
        self, loop: Loop, lan: Lan, assembly: Assembly, publish: Callable[[str, bytes], bool], run: Callable[..., None]
    ) -> None:
        """A counter's process has begun; `run` lets the box work, where it may crash."""
        config, counter = assembly.config, assembly.counter
        assert counter is not None and config.counters_listen is not None
        self._loop, self._assembly, self._counter = loop, assembly, counter
        self._turn = Turn(loop, lambda: run(self._take))
        self._until_ns = 0
        talk = Talk(
            config.school,
            config.gateway_id,
            assembly.journal.journal,
            assembly.keys.identity,
            config.counters_peers,
        )
        self.exchange = WokenExchange(
            talk,
            counter,
            self._said,
            self._heard,
            now_ms=lambda: assembly.clock.mono_ns() // MS,
            listen=config.counters_listen,
            publish=publish,
            lan=lambda listen: lan.open(listen, self._heard),
        )
        self._turn.plan(0)

    @property
    def counter(self) -> GatewayCounter:
        """Whose words it carries."""
        return self._counter

    def talk(self, until_ns: int) -> None:
        """It is mealtime until then."""
        self._until_ns = max(self._until_ns, until_ns)
        self._turn.plan(0)

    def _said(self) -> None:
        self.talk(self._loop.now_ns + LINGER_S * SECOND)

    def _heard(self) -> None:
        self._turn.plan(0)

    def _take(self) -> None:
        wait_ms, _ = self.exchange.turn()
        for code, detail in self.exchange.alarms().items():
            self._assembly.alarm(code, detail)
        if self._loop.now_ns < self._until_ns or wait_ms < OWED_MS:
            # A thread is woken some way into its millisecond.
            self._turn.plan(max(1, wait_ms) * MS)

    def stop(self) -> None:
        """The process is gone."""
        self._turn.cancel()
        self.exchange.stop()
