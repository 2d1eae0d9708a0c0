"""The wire: its line by the books, and real TCP over two namespaces."""

from __future__ import annotations

import subprocess
import sys
from random import Random

import pytest

from sim.wire.line import QUEUE_MS, Terms, Way, reset_of
from sim.wire.segment import missing


def packet(payload: bytes, *, flags: int = 0x18) -> bytes:
    """IPv4 and TCP as Linux sends them: 10.77.1.1:1883 to 10.77.1.2:40000, sequence 0x01020304."""
    ip = bytes.fromhex("45000000 00014000 40060000 0A4D0101 0A4D0102".replace(" ", ""))
    tcp = bytes.fromhex("075B9C40 01020304 0A0B0C0D".replace(" ", "")) + bytes((0x50, flags)) + bytes(6)
    return ip + tcp + payload


def total(octets: bytes) -> int:
    words = sum(int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2))
    while words >> 16:
        words = (words & 0xFFFF) + (words >> 16)
    return words


def test_a_packet_takes_its_time_by_rate_and_delay() -> None:
    way = Way(Random(1))
    terms = Terms(delay_ms=100, rate_kbit=256)
    for _ in range(3):
        way.take(bytes(1280), terms, True, 0.0)
    assert way.next_ms() == pytest.approx(140)
    assert way.due(139.9) == []
    assert len(way.due(180.1)) == 2
    assert len(way.due(1000)) == 1
    assert way.next_ms() is None


def test_loss_silence_and_a_full_queue_are_counted_apart() -> None:
    way = Way(Random(1))
    for number in range(1000):
        way.take(bytes(100), Terms(loss=0.3), True, number)
    assert 250 <= way.count.lost <= 350
    way.take(bytes(100), Terms(), False, 2000)
    assert way.count.silenced == 1
    for _ in range(100):
        way.take(bytes(1280), Terms(rate_kbit=256), True, 5000)
    assert way.count.overflowed == 100 - QUEUE_MS // 40 - 1
    assert len(way.due(1e9)) == way.count.packets == 1100 - way.count.lost - way.count.overflowed


def test_a_reset_stands_in_the_place_of_a_segment_with_content() -> None:
    reset = reset_of(packet(b"\x30\x05hello"))
    assert reset is not None
    assert len(reset) == 40
    assert reset[20:32] == packet(b"")[20:32], "ports, sequence and acknowledgement are the segment's"
    assert reset[33] == 0x14
    assert total(reset[:20]) == 0xFFFF
    assert total(reset[12:20] + bytes((0, 6, 0, 20)) + reset[20:]) == 0xFFFF
    assert reset_of(packet(b"")) is None
    assert reset_of(packet(b"x", flags=0x12)) is None
    assert reset_of(b"\x60" + bytes(60)) is None


def test_tcp_meets_what_the_wire_is_told() -> None:
    why = missing()
    if why is not None:
        pytest.skip(why)
    done = subprocess.run([sys.executable, "-m", "tests.sim.talk"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    sent, lost, reset = (int(word) for word in done.stdout.split())
    assert sent == 60_000
    assert lost > 0
    assert reset == 1
