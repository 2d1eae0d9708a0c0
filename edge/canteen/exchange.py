"""The exchange: one thread that carries words between our counters and all others, by broker and directly."""

from __future__ import annotations

import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from edge.canteen.addresses import Address
from edge.canteen.lan import Lan
from edge.canteen.ports import Hears
from edge.canteen.talk import QUIET, Talk
from protocol.served import Told
from protocol.topics import parse_device_topic

log = logging.getLogger("k12edge.counters")

WAITING_MAX: Final = 512
"""Words from the broker that wait for the thread, and servings of ours; what comes beyond is dropped and told again."""
READ_EACH: Final = 32
"""Datagrams of one socket read before something else has its turn; where there are more, after PAUSE_MS."""
PAUSE_MS: Final = 10
"""So a flood costs some 3,200 looks a second; the rest of it is the kernel's to drop. Four counters say some 100."""
SAY_MAX: Final = 64
OPEN_AGAIN_MS: Final = 5_000
FAILED_PAUSE_MS: Final = 1_000
IDLE_MS: Final = 1_000
"""Keys of counters may come meanwhile, and addresses of networks."""
NEWCOMER_MS: Final = 60_000
"""A counter that the hub has accepted speaks before our sheet names it: while another sheet may still be on its way, it
is no stranger."""


class Exchange:
    """See ports.Neighbours. What a person should know is kept for `alarms`, so that this thread waits for no disk."""

    def __init__(
        self,
        talk: Talk,
        hears: Hears,
        now_ms: Callable[[], int],
        *,
        listen: Address | None = None,
        publish: Callable[[str, bytes], bool] | None = None,
        lan: Callable[[Address], Lan] = Lan,
    ) -> None:
        """`now_ms` of CLOCK_BOOTTIME; without `listen` only the broker carries words, without `publish` none does."""
        self._talk, self._hears, self._now_ms = talk, hears, now_ms
        self._listen, self.publish = listen, publish
        self._opened = lan
        self._lan: Lan | None = None
        self._open_ms = 0
        self._mine: deque[Told] = deque()
        self._brought: deque[bytes] = deque(maxlen=WAITING_MAX)
        self._raised: dict[str, str] = {}
        self._heard_until: dict[str, int] = {}
        self._keys: dict[str, str] = {}
        self._stranger_ms: int | None = None
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._lock = threading.Lock()
        self._ended = self._running = False
        self.progress_ms = now_ms()

    # --- called from other threads ------------------------------------------------------------------------------

    def said(self, told: Told) -> None:
        """See Neighbours.said."""
        self._mine.append(told)
        self._poke()

    def unheard(self) -> tuple[str, ...]:
        """See Neighbours.unheard."""
        keys, until, now_ms = self._hears.keys(), self._heard_until, self._now_ms()
        return tuple(sorted(device for device in keys if until.get(device, now_ms) <= now_ms))

    def by_broker(self, topic: str, payload: bytes) -> bool:
        """Take a message of the broker's if it is a counter's word; from the link's thread, never blocks."""
        found = parse_device_topic(topic)
        if found is None or found.leaf != "served":
            return False
        self._brought.append(payload)
        self._poke()
        return True

    def alarms(self) -> dict[str, str]:
        """What a person should know since the last call: code -> what happened."""
        raised, self._raised = self._raised, {}
        return raised

    def address(self) -> Address | None:
        """Where we listen, once the port is open."""
        lan = self._lan
        return None if lan is None else lan.address

    def stop(self) -> None:
        """End `run` soon, or for good where it didn't begin."""
        self._ended = True
        if self._running:
            self._poke()
        else:
            self._close()

    def _poke(self) -> None:
        with self._lock, suppress(OSError):
            # A full counter wakes as well, and one that is closed has nobody to wake.
            if self._wake >= 0:
                os.eventfd_write(self._wake, 1)

    # --- the thread ---------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Carry words until stopped; a fault of ours costs a pause, and no tap."""
        self._running = True
        while not self._ended:
            self.progress_ms = self._now_ms()
            try:
                wait_ms, crowded = self.turn()
            except Exception as problem:
                log.exception("the exchange between counters failed")
                self._alarm("internal-fault", f"the exchange between counters failed: {type(problem).__name__}")
                wait_ms, crowded = FAILED_PAUSE_MS, True
            self._wait(wait_ms, crowded)
        self._close()

    def turn(self) -> tuple[int, bool]:
        """Do what is due; for how many ms nothing else will be, and whether sockets are to be left alone meanwhile."""
        now_ms = self._now_ms()
        keys = self._hears.keys()
        self._talk.know(keys)
        if keys != self._keys:
            self._keys, self._stranger_ms = dict(keys), None
        for _ in range(len(self._mine)):
            self._talk.said(self._mine.popleft())
        self._open(now_ms)
        self._say(now_ms)
        for _ in range(min(len(self._brought), READ_EACH)):
            self._take(self._brought.popleft(), None)
        crowded = False
        if self._lan is not None:
            came, crowded = self._lan.read(READ_EACH)
            for octets, source in came:
                self._take(octets, source)
            self._lan.keep_near(self._talk.addresses.answered())
        now_ms = self._now_ms()
        self._say(now_ms)
        self._heard_until = self._talk.heard_until()
        if self._mine or self._brought:
            return 0, crowded
        due_ms = self._talk.due_ms(now_ms)
        wait_ms = IDLE_MS if due_ms is None else max(0, min(IDLE_MS, due_ms - now_ms))
        return (PAUSE_MS if crowded else wait_ms), crowded

    def _take(self, octets: bytes, source: Address | None) -> None:
        taken = self._talk.take(octets, source, self._now_ms())
        if taken.refused is not None:
            if taken.refused not in QUIET and not (taken.refused == "stranger" and self._may_be_new()):
                whence = "the broker" if source is None else source[0]
                self._alarm(
                    "word-flood" if taken.refused == "budget" else "word-refused", f"{taken.refused}: from {whence}"
                )
            return
        if taken.twice:
            self._alarm("counter-twice", f"two gateways speak as {taken.device}")
        if taken.told:
            try:
                self._hears.heard(taken.device, taken.told)
            except Exception as problem:
                # What others told in the same moment must still be handed on.
                log.exception("servings of %s could not be taken", taken.device)
                self._alarm("internal-fault", f"servings of {taken.device} were not taken: {type(problem).__name__}")

    def _may_be_new(self) -> bool:
        """Whether a word from a gateway that the sheet doesn't name is of one that it will name soon."""
        now_ms = self._now_ms()
        if self._stranger_ms is None:
            self._stranger_ms = now_ms
        return now_ms - self._stranger_ms < NEWCOMER_MS

    def _say(self, now_ms: int) -> None:
        for _ in range(SAY_MAX):
            due_ms = self._talk.due_ms(now_ms)
            if due_ms is None or due_ms > now_ms:
                return
            for saying in self._talk.say(now_ms):
                if self._lan is not None:
                    self._lan.send(saying.octets, self._talk.addresses.all(now_ms))
                if saying.by_broker and self.publish is not None:
                    self.publish(self._talk.topic, saying.octets)

    def _open(self, now_ms: int) -> None:
        if self._listen is None or self._lan is not None or now_ms < self._open_ms:
            return
        try:
            self._lan = self._opened(self._listen)
        except OSError as problem:
            self._open_ms = now_ms + OPEN_AGAIN_MS
            self._alarm("counters-port", f"{self._listen[0]}:{self._listen[1]} can't be opened: {problem}")

    def _alarm(self, code: str, detail: str) -> None:
        self._raised.setdefault(code, detail)

    def _wait(self, wait_ms: int, crowded: bool) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._lan is not None and not crowded:
            for descriptor in self._lan.descriptors():
                poll.register(descriptor, select.POLLIN)
        poll.poll(wait_ms)
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake)

    def _close(self) -> None:
        if self._lan is not None:
            self._lan.close()
            self._lan = None
        with self._lock:
            if self._wake >= 0:
                os.close(self._wake)
                self._wake = -1
