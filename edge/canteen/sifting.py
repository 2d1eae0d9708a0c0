"""The sieve: from any bytes that anybody sent to a genuine word of a counter of the sheet, at a bounded cost."""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from protocol.errors import BadMessage
from protocol.served import WORD_BYTES_MAX, Word, decode_word
from protocol.signing import SignatureRefused, open_message
from protocol.topics import CHARACTERS_MAX, DeviceTopic, device_topic, parse_device_topic

SIGNED_BYTES_MAX: Final = WORD_BYTES_MAX + CHARACTERS_MAX + 128
"""A word with its topic and its signature's line."""
TWICE_KEPT: Final = 512
"""Genuine words remembered, since each may come by the broker and directly, and need not be verified twice."""
SOURCES_MAX: Final = 256

Fault = Literal["long", "form", "foreign", "own", "copy", "stranger", "budget", "forged", "unreadable"]
"""Why bytes are no word for us: too long; no signed message of a counter; another school's; our own; one that was taken
already; by a device that isn't on the sheet; more than are verified of this source; a signature by another key; signed,
and no word all the same."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Signatures that are verified: so many a second, and so many at once after a rest."""

    a_second: int
    at_once: int


TRUSTED: Final = Allowance(200, 400)
"""Of each address that a counter answered from, or that is configured, and of the broker. Some 20 ms of a second."""
STRANGERS: Final = Allowance(100, 200)
"""Of all other addresses together: whoever floods, from however many, costs some 10 ms of a second."""
STRANGER: Final = Allowance(20, 40)
"""Of each of them."""


class Budget:
    """How many may be verified now, of whom. Pure; times are ms of CLOCK_BOOTTIME."""

    def __init__(self) -> None:
        """Everybody is rested."""
        self._left: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def take(self, source: Hashable, allowed: Allowance, now_ms: int) -> bool:
        """Whether one more is allowed of this source; beyond SOURCES_MAX the longest silent one is forgotten."""
        left, at_ms = self._left.pop(source, (float(allowed.at_once), now_ms))
        left = min(float(allowed.at_once), left + max(0, now_ms - at_ms) * allowed.a_second / 1000)
        may = left >= 1
        self._left[source] = (left - 1 if may else left), now_ms
        if len(self._left) > SOURCES_MAX:
            self._left.popitem(last=False)
        return may


@dataclass(frozen=True, slots=True)
class Genuine:
    """A word that its device signed."""

    device: str
    word: Word


class Sieve:
    """Pure. What costs least is asked first; the signature last, and only within the budget."""

    def __init__(self, school: str, device: str) -> None:
        """We are `device` of `school`."""
        self._school, self._device = school, device
        self._budget, self._strangers, self._together = Budget(), Budget(), Budget()
        self._taken: set[bytes] = set()
        self._order: deque[bytes] = deque()

    def sift(
        self, octets: bytes, keys: Mapping[str, str], source: Hashable, now_ms: int, *, trusted: bool
    ) -> Genuine | Fault:
        """The word, or why it is none. `keys`: device -> public key of the other counters. `source`: who sent it.

        `trusted` says of the source only how much of it is verified.
        """
        if len(octets) > SIGNED_BYTES_MAX:
            return "long"
        topic = _topic(octets)
        if topic is None:
            return "form"
        if topic.school != self._school:
            return "foreign"
        if topic.device == self._device:
            return "own"
        key = keys.get(topic.device)
        if key is None:
            return "stranger"
        mark = hashlib.blake2b(octets, digest_size=16).digest()
        if mark in self._taken:
            return "copy"
        if not self._allowed(source, now_ms, trusted=trusted):
            return "budget"
        try:
            word = decode_word(open_message(key, device_topic(self._school, topic.device, "served"), octets))
        except SignatureRefused:
            return "forged"
        except BadMessage:
            return "unreadable"
        self._remember(mark)
        return Genuine(topic.device, word)

    def _allowed(self, source: Hashable, now_ms: int, *, trusted: bool) -> bool:
        if trusted:
            return self._budget.take(source, TRUSTED, now_ms)
        return self._strangers.take(source, STRANGER, now_ms) and self._together.take(None, STRANGERS, now_ms)

    def _remember(self, mark: bytes) -> None:
        self._taken.add(mark)
        self._order.append(mark)
        if len(self._order) > TWICE_KEPT:
            self._taken.discard(self._order.popleft())


def _topic(octets: bytes) -> DeviceTopic | None:
    """The topic that the bytes say they were signed for, if it is a counter's."""
    begin = octets.find(b"\n", 0, 128) + 1
    end = octets.find(b"\n", begin, begin + CHARACTERS_MAX + 1)
    if not begin or end < 0 or not octets.startswith(b'{"sig":"') or not octets[begin:end].isascii():
        return None
    topic = parse_device_topic(octets[begin:end].decode("ascii"))
    return topic if topic is not None and topic.leaf == "served" else None
