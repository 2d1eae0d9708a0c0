"""The network threads: a message on a topic that is no text ends neither, and one that ended is seen."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from random import Random

import pytest

from edge.mqtt import MqttLink
from hub.mqtt import HubLink
from protocol.topics import device_topic

PATIENCE_S = 20.0
GOOD = device_topic("79000701", "cong", "state")


def _gateways(port: int, heard: Callable[[str], None]) -> MqttLink:
    link = MqttLink(f"mqtt://127.0.0.1:{port}", "cong", Random(1), ["a"])
    link.start(lambda topic, _payload, _retained: heard(topic), lambda _connected: None)
    return link


def _hubs(port: int, heard: Callable[[str], None]) -> HubLink:
    link = HubLink(
        "127.0.0.1",
        port,
        "hub",
        Random(1),
        ["a"],
        ("will", b"lost"),
        lambda message: heard(message.topic),
        lambda _connected: None,
    )
    link.start()
    return link


def _publication(topic: bytes, number: int) -> bytes:
    body = struct.pack("!H", len(topic)) + topic + struct.pack("!H", number) + b"body"
    return b"\x32" + bytes([len(body)]) + body


def _serve(server: socket.socket, done: threading.Event) -> None:
    line, _ = server.accept()
    with line:
        line.recv(4096)
        line.sendall(b"\x20\x02\x00\x00")
        line.recv(4096)
        # The second byte of UTF-8 alone, and then what every client understands.
        line.sendall(_publication(b"\xff\xfe", 1) + _publication(GOOD.encode(), 2))
        done.wait(PATIENCE_S)


@pytest.mark.parametrize("made", [_gateways, _hubs])
def test_a_topic_that_is_no_text_ends_no_network_thread(
    made: Callable[[int, Callable[[str], None]], MqttLink | HubLink],
) -> None:
    arrived, done = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, done), daemon=True).start()
        link = made(server.getsockname()[1], lambda topic: arrived.set() if topic == GOOD else None)
        assert arrived.wait(PATIENCE_S)
        done.set()
        if isinstance(link, HubLink):
            link.stop(("will", b"lost"))
        else:
            link.stop()


def test_a_hub_sees_that_its_network_thread_has_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = _hubs(server.getsockname()[1], lambda _topic: None)
        assert not link.ended()
        link._client.loop_stop()
        assert link.ended()


def test_a_gateway_starts_a_network_thread_that_has_ended_anew() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)
        link = _gateways(server.getsockname()[1], lambda _topic: None)
        server.accept()[0].close()
        assert link._client is not None
        link.tend()
        link._client.loop_stop()
        link.tend()
        server.accept()[0].close()
        link.stop()
        link.tend()
        assert link._client is None
