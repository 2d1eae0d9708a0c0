"""The mutator: from a sound message and a generator a hostile one, the same each time; made for speed.

Where the tokens of a sound message lie is looked up once; a mutation cuts and joins bytes there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

Span = tuple[int, int]

DEEP: Final = tuple(
    left * depth + b"1" + right * depth
    for left, right in ((b"[", b"]"), (b'{"a":', b"}"))
    for depth in (20, 28, 29, 30, 31, 32, 33, 64, 200, 900, 960, 975, 985, 990, 1010, 3000)
)
"""Nesting around every limit that an interpreter or a rule of ours could have."""
NUMBERS: Final = (
    b"0", b"-0", b"-1", b"1", b"2", b"255", b"256", b"500", b"501", b"65535", b"2147483647", b"2147483648",
    b"4294967296",
    b"9007199254740993", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616", b"999999999999",
    b"1000000000000", b"-9223372036854775809", b"1e3", b"1.0", b"1e999", b"-1e999", b"1e-999", b"NaN", b"Infinity",
    b"0x10", b"01", b"+1", b"1_000", b"1" + b"0" * 30, b"9" * 400, b"9" * 4400,
)  # fmt: skip
TEXTS: Final = (
    "", " ", "a", "null", "../..", "\u0000", "a\u0000b", "\ufeff", "\u202e", "\u2028", "Trần Thị Hòa",
    "Trâ\u0300n Thi\u0323 Ho\u0300a",
    "ﬀ", "ß", "ı", "٠١٢", "１２３", "\U0001f600", "\U0010ffff", "%s%n", "=1+1", "<script>", "a" * 64,
    "a" * 65, "a" * 201,
    "x" * 5000, "\u1ea1" * 400, "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999-12:00",
    "2026-11-23T06:58:60+07:00", "0b6f5c9e7d2a4f18.0", "0b6f5c9e7d2a4f18.999999999999", "ffffffffffffffff",
    "urn:k12edge:problem:unknown-student",
)  # fmt: skip
RAW_TEXTS: Final = (
    b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\u0000"', b'"\\u"', b'"\\x41"', b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"',
    b'"\xf4\x90\x80\x80"', b'"a', b'"\t"', b'"\n"', b'"\x7f"', b'"' + b"\\" * 33 + b'"',
)  # fmt: skip
WORDS: Final = (
    b"null",
    b"true",
    b"false",
    b"{}",
    b"[]",
    b"[[]]",
    b"[null]",
    b"[1,2]",
    b'{"a":1}',
    b"nul",
    b",",
    b":",
    b"",
)
BITS: Final = tuple(1 << bit for bit in range(8))
BYTES: Final = tuple(
    bytes((octet,)) for octet in (0, 1, 0x0A, 0x0D, 0x22, 0x2C, 0x5B, 0x5C, 0x7B, 0x7D, 0x7F, 0x80, 0xFF)
)

JSON_TOKENS: Final = (
    *NUMBERS * 2,
    *(b'"' + text.encode().replace(b"\x00", b"\\u0000") + b'"' for text in TEXTS),
    *RAW_TEXTS,
    *WORDS,
    *DEEP,
)


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound message: its bytes, where its values lie, and where its parts (members with a comma, lines) lie."""

    raw: bytes
    values: tuple[Span, ...]
    parts: tuple[Span, ...]


def sound_json(raw: bytes) -> Sound:
    """Look up the values and members of a JSON text (without blanks between them)."""
    values: list[Span] = []
    parts: list[Span] = []
    _json_value(raw, 0, values, parts)
    return Sound(raw, tuple(values), tuple(parts))


_SCALAR: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[^,\]}]+', re.DOTALL)


def _json_value(raw: bytes, at: int, values: list[Span], parts: list[Span]) -> int:
    begin, opener = at, raw[at : at + 1]
    if opener in (b"{", b"["):
        at += 1
        while raw[at : at + 1] not in (b"}", b"]"):
            part = at
            if opener == b"{":
                name = _SCALAR.match(raw, at)
                assert name is not None
                values.append(name.span())
                at = name.end() + 1
            at = _json_value(raw, at, values, parts)
            at += raw[at : at + 1] == b","
            parts.append((part, at))
        at += 1
    else:
        scalar = _SCALAR.match(raw, at)
        assert scalar is not None, raw[at : at + 40]
        at = scalar.end()
    values.append((begin, at))
    return at


_TEXT_TOKEN: Final = re.compile(rb'"[^"\n]*"|[0-9]+(?:\.[0-9]+)?|[\w-]+|[^\w\s]')


def sound_text(raw: bytes) -> Sound:
    """Look up the words, numbers and quoted texts of a text, and its lines."""
    lines, at = [], 0
    for line in raw.splitlines(keepends=True):
        lines.append((at, at + len(line)))
        at += len(line)
    return Sound(raw, tuple(found.span() for found in _TEXT_TOKEN.finditer(raw)), tuple(lines))


def sound_bytes(raw: bytes) -> Sound:
    """A message of which only its bytes are known."""
    return Sound(raw, (), ())


class Mutator:
    """Makes hostile messages of `sound` ones with `tokens` in the place of values."""

    def __init__(self, sound: Sequence[Sound], tokens: Sequence[bytes] = JSON_TOKENS) -> None:
        """Messages of one language."""
        self._sound, self._tokens = tuple(sound), tuple(tokens)

    def mutated(self, rng: Random) -> bytes:
        """One message: in a few of a hundred cases sound, else with some of its tokens or bytes changed."""
        draw = rng.random
        one = self._sound[int(draw() * len(self._sound))]
        kind = draw()
        if kind < 0.04:
            return one.raw
        if one.values and kind < 0.80:
            raw = self._tokens_changed(one, draw)
            return self._bytes_changed(raw, draw) if kind < 0.08 else raw
        return self._bytes_changed(one.raw, draw)

    def _tokens_changed(self, one: Sound, draw: Callable[[], float]) -> bytes:
        raw, end = one.raw, len(one.raw) + 1
        times = 1 if draw() < 0.6 else 1 + int(draw() * 4)
        if times == 1:
            spans = [self._span(one, draw)]
        else:
            spans = sorted((self._span(one, draw) for _ in range(times)), reverse=True)
        for first, last, part in spans:
            if last > end:
                continue
            end = first
            old = raw[first:last]
            raw = raw[:first] + (self._part(one, old, draw) if part else self._value(one, old, draw)) + raw[last:]
        return raw

    def _span(self, one: Sound, draw: Callable[[], float]) -> tuple[int, int, bool]:
        part = bool(one.parts) and draw() < 0.2
        spans = one.parts if part else one.values
        return *spans[int(draw() * len(spans))], part

    def _value(self, one: Sound, old: bytes, draw: Callable[[], float]) -> bytes:
        kind = draw()
        if kind < 0.3:
            return self._tokens[int(draw() * len(self._tokens))]
        if kind < 0.4:
            # A value of another place, or of another message.
            other = one if draw() < 0.5 else self._sound[int(draw() * len(self._sound))]
            if other.values:
                first, last = other.values[int(draw() * len(other.values))]
                return other.raw[first:last]
        if kind < 0.75 and old.lstrip(b"-").isdigit() and len(old) < 19:
            number = int(old)
            return (
                b"%d"
                % (number + 1, number - 1, -number, number * 10, number * 2, number >> 1, number + 256)[int(draw() * 7)]
            )
        if len(old) > 2 and old[:1] == b'"':
            inner = old[1:-1]
            at = int(draw() * len(inner))
            if kind < 0.85:
                return b'"' + inner[:at] + bytes((0x20 + int(draw() * 0x5F),)) + inner[at + 1 :] + b'"'
            token = TEXTS[int(draw() * len(TEXTS))].encode()
            if kind < 0.95:
                return b'"' + inner[:at] + token.replace(b"\x00", b"\\u0000") + inner[at:] + b'"'
            return b'"' + inner * (2 + int(draw() * 30)) + b'"'
        return self._bytes_changed(old, draw)

    def _part(self, one: Sound, old: bytes, draw: Callable[[], float]) -> bytes:
        kind = draw()
        if kind < 0.3:
            return b""
        if kind < 0.5:
            return old + old
        first, last = one.parts[int(draw() * len(one.parts))]
        other = one.raw[first:last]
        if kind < 0.7:
            return old + other
        if kind < 0.85:
            return other
        if kind < 0.9:
            return old * (2 + int(draw() * 600))
        return b'"unknown":' + self._tokens[int(draw() * len(self._tokens))] + b"," + old

    def _bytes_changed(self, raw: bytes, draw: Callable[[], float]) -> bytes:
        for _ in range(1 if draw() < 0.7 else 2 + int(draw() * 4)):
            size = len(raw)
            at, kind = int(draw() * (size + 1)), draw()
            if kind < 0.3 and at < size:
                raw = raw[:at] + bytes((raw[at] ^ BITS[int(draw() * 8)],)) + raw[at + 1 :]
            elif kind < 0.45 and at < size:
                raw = raw[:at] + bytes((int(draw() * 256),)) + raw[at + 1 :]
            elif kind < 0.55:
                raw = raw[:at] + BYTES[int(draw() * len(BYTES))] + raw[at:]
            elif kind < 0.65:
                raw = raw[:at]
            elif kind < 0.75:
                raw = raw[:at] + raw[at + 1 + int(draw() * 16) :]
            elif kind < 0.82:
                raw = raw[:at] + raw[at : at + 1 + int(draw() * 32)] * (1 + int(draw() * 20)) + raw[at:]
            elif kind < 0.9:
                other = self._sound[int(draw() * len(self._sound))].raw
                raw = raw[:at] + other[int(draw() * len(other)) :]
            elif kind < 0.95 and at < size:
                # A length or a pointer, as two bytes big-endian.
                raw = raw[:at] + int(draw() * 0x10000).to_bytes(2, "big") + raw[at + 2 :]
            else:
                raw = self._recoded(raw, draw)
        return raw

    @staticmethod
    def _recoded(raw: bytes, draw: Callable[[], float]) -> bytes:
        """The same in another encoding, or with what some editor puts before, between or behind it."""
        kind = int(draw() * 7)
        match kind:
            case 0:
                return b"\xef\xbb\xbf" + raw
            case 1:
                return raw.decode("latin-1").encode("utf-16")
            case 2:
                return raw.replace(b"\n", b"\r\n")
            case 3:
                return raw + b"\x00"
            case 4:
                return b" \t\r\n" + raw + b"\n"
            case 5:
                return raw.decode("latin-1").encode("utf-8")
            case _:
                return raw + raw
