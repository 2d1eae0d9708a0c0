"""What a recorded hub said: receipts to gateways, events to the city, taken out of the bytes that it sent. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from protocol.receipts import Receipt, decode_receipt
from protocol.signing import split_message
from protocol.topics import parse_device_topic
from sim.powercut.recording import Sent

PUBLISH: Final = 3
"""MQTT 3.1.1, 2.2.1."""


class _Named(msgspec.Struct):
    id: str


_events = msgspec.json.Decoder(list[_Named])


@dataclass(slots=True)
class Overheard:
    """Feed it everything that was sent, in order; each socket is a stream of its own."""

    _streams: dict[str, bytearray] = field(default_factory=dict)

    def hear(self, sent: Sent) -> Iterator[Receipt | list[str]]:
        """The receipts that are whole with this, and for each batch to the city the names of its events."""
        stream = self._streams.setdefault(sent.path, bytearray())
        stream += sent.data
        if stream[:4] == b"POST":
            yield from _posted(stream)
        elif stream[:5] == b"HTTP/":
            stream.clear()
        else:
            for topic, payload in _published(stream):
                found = parse_device_topic(topic)
                if found is not None and found.leaf == "receipt":
                    yield decode_receipt(split_message(topic, payload)[2])


def _published(stream: bytearray) -> Iterator[tuple[str, bytes]]:
    """Topic and payload of every whole PUBLISH, each packet taken from the front of the stream."""
    while len(stream) >= 2:
        size, shift, at = 0, 0, 1
        while at < len(stream) and at <= 4:
            size |= (stream[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if not stream[at - 1] & 128:
                break
        else:
            return
        if len(stream) < at + size:
            return
        kind, body = stream[0], bytes(stream[at : at + size])
        del stream[: at + size]
        if kind >> 4 == PUBLISH:
            length = int.from_bytes(body[:2], "big")
            # A packet number follows the topic where the quality of service is more than 0.
            yield body[2 : 2 + length].decode("utf-8"), body[2 + length + (2 if kind & 6 else 0) :]


def _posted(stream: bytearray) -> Iterator[list[str]]:
    """The names of the events in every whole request, each taken from the front of the stream."""
    while (end := stream.find(b"\r\n\r\n")) >= 0:
        headers = dict(line.lower().split(b": ", 1) for line in bytes(stream[:end]).split(b"\r\n")[1:])
        size = int(headers.get(b"content-length", b"0"))
        if len(stream) < end + 4 + size:
            return
        body = bytes(stream[end + 4 : end + 4 + size])
        del stream[: end + 4 + size]
        if headers.get(b"content-encoding") == b"gzip":
            yield [event.id for event in _events.decode(zlib.decompress(body, 31))]
