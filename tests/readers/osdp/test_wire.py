"""OSDP's frames and what a failed handshake tells, without a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.readers.osdpwire import Handshake, Replies
from tests.readers.osdp.door import command, reply


@given(st.binary(max_size=60), st.lists(st.integers(1, 7), max_size=40), st.integers(0, 126))
def test_a_whole_reply_is_found_behind_noise_and_others_are_not(noise: bytes, cuts: list[int], address: int) -> None:
    mine = reply(address, b"\x40")
    replies, line = Replies(address), noise + command(address, b"\x60") + reply((address + 1) % 127, b"\x40") + mine
    found: list[bytes] = []
    while line:
        size = cuts.pop() if cuts else len(line)
        replies.feed(line[:size])
        line = line[size:]
        while (frame := replies.take()) is not None:
            found.append(frame)
    # Noise may hold the head of a long frame that is still waited for; it is dropped before the next command.
    assert found in ([mine], []) and (found or len(replies) > 0)


def test_a_reply_with_a_wrong_check_is_told_and_dropped() -> None:
    replies, mine = Replies(5), reply(5, b"\x40")
    replies.feed(mine[:-1] + bytes((mine[-1] ^ 1,)))
    assert replies.take() is None and replies.broken
    replies.clear()
    replies.feed(mine)
    assert replies.take() == mine and not replies.broken
    head = bytes((0x53, 0x85, 7, 0, 0, 0x40))
    replies.feed(head + bytes((-sum(head) & 0xFF,)))
    assert replies.take() is not None, "a checksum of one byte, as old readers send"


SECURE = b"\x46\x09\x01\x00"


@pytest.mark.parametrize(
    ("replies", "verdict"),
    [
        ([], "silent"),
        ([b"\x45" + bytes(12)], "silent"),
        ([b"\x46\x04\x01\x00"], "plain"),
        ([b"\x46\x09\x00\x00"], "plain"),
        ([SECURE], "silent"),
        ([SECURE, b"\x41\x03"], "plain"),
        ([SECURE, b"\x41\x05"], "plain"),
        ([SECURE, b"\x41\x06"], "other key"),
        ([SECURE, b"\x41"], "other key"),
        ([SECURE, b"\x03\x12\x01\x76" + bytes(32)], "other key"),
        ([SECURE, b"\x03\x12\x00\x76" + bytes(32)], "default key"),
    ],
)
def test_what_a_failed_handshake_tells(replies: list[bytes], verdict: str) -> None:
    handshake = Handshake()
    for body in replies:
        secured = body[0] == 3
        asked = command(5, b"\x62\x00") if body[0] in (0x45, 0x46) else command(5, b"\x03\x11\x01\x76" + bytes(8), 0x0C)
        handshake.sent(asked)
        handshake.came(reply(5, body, 0x0C if secured else 0x04))
    assert handshake.verdict() == verdict


def test_a_reader_that_has_proven_our_key_and_falls_silent_has_no_other() -> None:
    handshake = Handshake()
    handshake.came(reply(5, SECURE))
    handshake.sent(command(5, b"\x03\x11\x01\x76" + bytes(8), 0x0C))
    handshake.came(reply(5, b"\x03\x12\x01\x76" + bytes(32), 0x0C))
    handshake.sent(command(5, b"\x03\x13\x01\x77" + bytes(16), 0x0C))
    assert handshake.verdict() == "silent"
    handshake.came(reply(5, b"\x41\x06"))
    assert handshake.verdict() == "other key", "it doesn't take our proof"


@given(st.binary(min_size=7, max_size=60))
def test_no_frame_upsets_the_handshake(octets: bytes) -> None:
    handshake = Handshake()
    handshake.sent(octets)
    handshake.came(octets)
    assert handshake.verdict() in ("silent", "plain", "default key", "other key")
