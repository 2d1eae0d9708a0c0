"""A broker that acknowledges and forgets: it stands before a real one and loses what it was trusted with, on request.

Brokers do this when they are killed, over their queue's limit, or by a permission that refuses in silence: the sender
gets its PUBACK, nobody gets the message.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final

PUBLISH: Final = 3
PUBACK: Final = 0x40
PACKET_BYTES_MAX: Final = 8 * 1024 * 1024
START_S: Final = 10.0

Forgets = Callable[[str], bool]


class ForgetfulBroker:
    """See the room. Speaks MQTT 3.1.1 on 127.0.0.1:`port`, in the packets of the broker at `host`:`broker_port`.

    `forgets` is asked for the topic of each QoS 1 message that a client sends: True means that it is acknowledged and
    dropped. It may be replaced at any time, and is called on the emulator's own thread. `forgotten` and `passed` count.
    """

    def __init__(self, host: str, broker_port: int, forgets: Forgets, *, port: int = 0) -> None:
        """Nothing is listened to yet."""
        self._broker = (host, broker_port)
        self._wanted_port = port
        self.forgets = forgets
        self.port = 0
        self.forgotten = 0
        self.passed = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="forgetful-broker", daemon=True)

    @property
    def url(self) -> str:
        """Its address, as a gateway's or hub's configuration takes it."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen; raises TimeoutError when the port can't be taken."""
        self._thread.start()
        if not self._ready.wait(START_S):
            raise TimeoutError("the forgetful broker does not listen")

    def stop(self) -> None:
        """Close every connection and listen no longer."""
        if self._loop is not None and self._ended is not None:
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(START_S)

    def __enter__(self) -> ForgetfulBroker:
        """Listen for a block."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", self._wanted_port)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            broker_reader, broker_writer = await asyncio.open_connection(*self._broker)
        except OSError:
            writer.close()
            return
        ways = (
            asyncio.ensure_future(self._to_broker(reader, writer, broker_writer)),
            asyncio.ensure_future(_to_client(broker_reader, writer)),
        )
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, broker_writer):
                end.close()

    async def _to_broker(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, broker: asyncio.StreamWriter
    ) -> None:
        while (packet := await read_packet(reader)) is not None:
            named = published(packet)
            if named is not None and self.forgets(named[0]):
                self.forgotten += 1
                writer.write(bytes((PUBACK, 2, *named[1].to_bytes(2, "big"))))
                await writer.drain()
                continue
            self.passed += named is not None
            broker.write(packet)
            await broker.drain()


async def _to_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Whole packets only, so that an acknowledgement of ours never stands within one of the broker's.
    while (packet := await read_packet(reader)) is not None:
        writer.write(packet)
        await writer.drain()


async def read_packet(reader: asyncio.StreamReader) -> bytes | None:
    """The next MQTT control packet (MQTT 3.1.1, 2.2), None at the end of the connection or of sense."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        head = bytearray(await reader.readexactly(1))
        length = shift = 0
        while True:
            digit = (await reader.readexactly(1))[0]
            head.append(digit)
            length |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                break
            if shift > 21:
                return None
        if length <= PACKET_BYTES_MAX:
            return bytes(head) + await reader.readexactly(length)
    return None


def published(packet: bytes) -> tuple[str, int] | None:
    """Topic and packet identifier of a PUBLISH with QoS 1, None for any other packet (MQTT 3.1.1, 3.3)."""
    if packet[0] >> 4 != PUBLISH or packet[0] >> 1 & 3 != 1:
        return None
    at = 1
    while packet[at] & 0x80:
        at += 1
    at += 1
    size = int.from_bytes(packet[at : at + 2], "big")
    topic = packet[at + 2 : at + 2 + size].decode("utf-8", "replace")
    return topic, int.from_bytes(packet[at + 2 + size : at + 4 + size], "big")
