"""A listener on the broker, beside the hub: what of a gateway's records came once, and what came again."""

from __future__ import annotations

import threading
import zlib
from collections import defaultdict
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from protocol.batch import decode_batch
from protocol.errors import BadMessage
from protocol.ranges import RangeSet
from sim.parts import PartFailed
from sim.road import SCHOOL


class Listener:
    """Counts batches by record; comes back by itself when the broker does. Sizes are payloads, in bytes."""

    def __init__(self, host: str, port: int) -> None:
        """Connect and subscribe. Raises PartFailed."""
        self.octets = self.octets_again = self.packed = 0
        self.records = self.records_again = 0
        self._seen: dict[str, RangeSet] = defaultdict(RangeSet)
        self._ready = threading.Event()
        client = paho.Client(CallbackAPIVersion.VERSION2, "listener", protocol=paho.MQTTv311)
        client.on_connect = lambda client, *_: client.subscribe(f"k12/1/{SCHOOL}/dev/+/ev", 1)
        client.on_subscribe = lambda *_: self._ready.set()
        client.on_message = self._heard
        client.reconnect_delay_set(1, 2)
        client.connect(host, port)
        client.loop_start()
        self._client = client
        if not self._ready.wait(10):
            raise PartFailed("the broker takes no listener")

    def _heard(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        try:
            payload = bytes(message.payload)
            header = decode_batch(payload).header
        except BadMessage:
            return
        size, last = len(payload), header.first + header.count - 1
        seen = self._seen[header.journal]
        new = sum(high - low + 1 for low, high in seen.gaps(header.first, last))
        seen.add(header.first, last)
        self.records += header.count
        self.octets += size
        self.records_again += header.count - new
        self.octets_again += size * (header.count - new) // header.count
        self.packed += len(zlib.compress(payload, 6))

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()
