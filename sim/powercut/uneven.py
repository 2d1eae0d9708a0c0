"""A gateway that offers unevenly: holes, duplicates and whole repetitions, signed and chained as a real one's."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from random import Random
from typing import Final

import msgspec

from edge.mqtt import MqttLink
from protocol.batch import encode_batch
from protocol.envelope import clock_data, digest, encode_event
from protocol.receipts import decode_receipt, held_of
from protocol.signing import Identity, sign_message, split_message
from protocol.status import DeviceState, HeldJournal
from protocol.taps import ClockReading, TapData, TapId
from protocol.topics import device_source, device_topic
from sim.parts import until
from sim.road import SCHOOL

BOOT: Final = "7d3e0c2a"
T0_MS: Final = 1_795_000_000_000
ANSWER_S: Final = 0.5
"""How long an offer waits for its receipt before the next one follows all the same."""


class UnevenGateway:
    """One device with one journal, over the real broker."""

    def __init__(self, device: str, taps: int, rng: Random) -> None:
        """Make its journal: the opening and so many taps."""
        self.device, self._rng = device, rng
        self._identity = Identity(rng.randbytes(32), rng.randbytes(32))
        self.journal = f"{rng.getrandbits(64):016x}"
        self.lines: list[bytes] = []
        opened = {"journal": self.journal, "previous": None, "key": self._identity.key, "version": "0"}
        self._add("journal.opened", opened)
        for number in range(taps):
            self._add("attendance.tap", number)
        self._held = 0
        self._connected, self._answered = threading.Event(), threading.Event()

    def _add(self, kind: str, data: Mapping[str, object] | int) -> None:
        sequence = len(self.lines) + 1
        at_ms = T0_MS + sequence * 1000
        clock = clock_data(ClockReading(BOOT, sequence * 1000, at_ms, at_ms, "ntp", 15))
        if isinstance(data, int):
            card, pupil = f"hk1:{data:011d}", f"st-{data}"
            tap = TapData("gate", "cong-a", "in", card, pupil, "accepted", None, "ok", "r-20261122T180011Z-1", clock)
            said = msgspec.to_builtins(tap)
        else:
            said = {**data, "clock": msgspec.to_builtins(clock)}
        self.lines.append(
            encode_event(
                TapId(self.journal, sequence),
                source=device_source(SCHOOL, self.device),
                kind=kind,
                time_ms=at_ms,
                recorded_ms=at_ms + 3,
                prev=digest(self.lines[-1]) if self.lines else None,
                data=said,
            )
        )

    def records(self) -> dict[str, bytes]:
        """Id -> exact bytes."""
        return {f"{self.journal}.{number}": raw for number, raw in enumerate(self.lines, 1)}

    def offer_all(self, broker_url: str, share: float = 1.0) -> None:
        """Offer the first `share` of it, unevenly, then whole, until a receipt names it all. Raises PartFailed."""
        last = max(1, int(len(self.lines) * share))
        topics = [device_topic(SCHOOL, self.device, "receipt")]
        link = MqttLink(broker_url, f"uneven-{secrets.token_hex(4)}", self._rng, topics)
        link.start(self._hear, self._turn)
        try:
            until(self._connected.is_set, "the uneven gateway gets no connection")
            link.publish(device_topic(SCHOOL, self.device, "state"), self._state(), retain=True)
            for first, through in self._uneven(last):
                self._answered.clear()
                until(partial(self._publish, link, first, through), "the broker takes nothing")
                # Mostly one message is one transaction of the hub: the next follows when this one was answered.
                self._answered.wait(ANSWER_S)
            until(partial(self._again, link, last), "the hub doesn't receipt it all", moving=lambda: self._held)
        finally:
            link.stop()

    def _uneven(self, last: int) -> Iterator[tuple[int, int]]:
        """Ranges with holes between them, some twice, some over what was offered before."""
        at = 1
        while at <= last:
            through = min(last, at + self._rng.choice((0, 0, 1, 4, 19)))
            yield at, through
            if self._rng.random() < 0.3:
                yield max(1, at - 5), through
            at = through + 1 + (3 if self._rng.random() < 0.15 else 0)

    def _publish(self, link: MqttLink, first: int, last: int) -> bool:
        batch = encode_batch(self._identity, self.journal, first, self.lines[first - 1 : last])
        return link.publish(device_topic(SCHOOL, self.device, "ev"), batch)

    def _again(self, link: MqttLink, last: int) -> bool:
        if self._held >= last:
            return True
        self._answered.clear()
        self._publish(link, 1, last)
        self._answered.wait(ANSWER_S)
        return self._held >= last

    def _turn(self, connected: bool) -> None:
        if connected:
            self._connected.set()

    def _hear(self, topic: str, payload: bytes, _retained: bool) -> None:
        receipt = decode_receipt(split_message(topic, payload)[2])
        marks = receipt.journals.get(self.journal)
        if marks is not None:
            held = held_of(marks.hub)
            self._held = max(self._held, next((first - 1 for first, _ in held.gaps(1, len(self.lines))), held.last))
            self._answered.set()

    def _state(self) -> bytes:
        head = digest(self.lines[-1])
        state = DeviceState(
            state="ready",
            connection=1,
            key=self._identity.key,
            box=self._identity.box,
            boot=BOOT,
            mono=5_000,
            wall="2026-11-23T06:58:12.417+07:00",
            sync="ntp",
            version="0",
            journal=self.journal,
            journals={self.journal: HeldJournal(1, len(self.lines), head, 0)},
            owed=len(self.lines),
        )
        return sign_message(self._identity, device_topic(SCHOOL, self.device, "state"), msgspec.json.encode(state))
