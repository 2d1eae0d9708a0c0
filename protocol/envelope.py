"""The envelope: one CloudEvents 1.0 JSON object per record, written once, hashed as bytes, never written again."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, TypeVar

import msgspec

from protocol.errors import BadMessage
from protocol.taps import JOURNAL_ID, SEQUENCE_MAX, ClockData, ClockReading, JsonObject, TapId, parse_tap_id

TYPE_PREFIX: Final = "vn.k12edge."
SCHEMA_PREFIX: Final = "urn:k12edge:schema:"
EVENT_TYPES: Final = (
    "attendance.tap",
    "meal.pickup",
    "meal.referred",
    "card.refused",
    "card.presented",
    "care.tap",
    "meal.rated",
    "journal.opened",
    "journal.head",
    "boot.anchored",
    "device.watermark",
    "device.alarm",
    "log.gap",
    "record.forked",
    "watermark.waived",
    "attendance.rollcall",
    "attendance.leave",
    "attendance.correction",
    "attendance.mark",
    "meal.enrolled",
    "meal.portion",
    "meal.cut",
    "meal.closed",
    "meal.service",
    "meal.sheet.locked",
    "meal.adjusted",
    "meal.correction",
    "meal.month",
    "meal.complaint",
    "card.changed",
    "consent.changed",
    "files.sent",
    "incident.pack",
)
"""The short names of every record type of version 1; on the wire `vn.k12edge.<name>.v1`."""
EVENT_BYTES_MAX: Final = 16 * 1024
"""The largest record: a tap is under 1 KiB; a sealed raw read or a correction's reason fits with room."""
NESTING_MAX: Final = 32
"""Objects and lists within each other in a record; ours nest three deep. Readers stop at depths of their own, some at
one that depends on who calls: what one of them takes all must take."""
SCHOOL_ZONE: Final = timezone(timedelta(hours=7))
"""Vietnam's time, UTC+7 without daylight saving since 1975."""

T = TypeVar("T")
_TYPES = {f"{TYPE_PREFIX}{name}.v1": name for name in EVENT_TYPES}
_SCHEMAS = {name: f"{SCHEMA_PREFIX}{name}.v1" for name in EVENT_TYPES}


class Event(msgspec.Struct, frozen=True, omit_defaults=False):
    """One record as it travels. `data` stays raw: who needs it decodes it."""

    specversion: str
    id: str
    source: str
    type: str
    time: str
    recordedtime: str
    sequence: str
    datacontenttype: str
    dataschema: str
    prev: str | None
    data: msgspec.Raw
    subject: str | None = None

    @property
    def tap(self) -> TapId:
        """The record's name; raises BadMessage when the id isn't one (never for what `decode_event` returned)."""
        name = parse_tap_id(self.id)
        if name is None:
            raise BadMessage(f"id {self.id[:80]!r} is not <journal>.<sequence>")
        return name

    @property
    def name(self) -> str:
        """The type's short name, such as `attendance.tap`."""
        return _TYPES[self.type]


class _Written(msgspec.Struct, frozen=True, kw_only=True):
    """The order in which an envelope's fields are written."""

    specversion: str
    id: str
    source: str
    type: str
    time: str
    recordedtime: str
    sequence: str
    subject: str | msgspec.UnsetType
    datacontenttype: str
    dataschema: str
    prev: str | None
    data: Any


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)
_everything = msgspec.json.Decoder()


def encode_event(
    tap: TapId,
    *,
    source: str,
    kind: str,
    time_ms: int,
    recorded_ms: int,
    prev: str | None,
    data: JsonObject | msgspec.Struct,
    subject: str | None = None,
) -> bytes:
    """The exact bytes of a record, without a line break in them.

    `prev` is the digest of the record before it, None for sequence 1. Raises BadMessage over EVENT_BYTES_MAX.
    """
    assert kind in EVENT_TYPES, kind
    assert (prev is None) == (tap.sequence == 1), "only a journal's first record has nobody before it"
    assert 1 <= tap.sequence <= SEQUENCE_MAX
    raw = _encoder.encode(
        _Written(
            specversion="1.0",
            id=f"{tap.journal}.{tap.sequence}",
            source=source,
            type=f"{TYPE_PREFIX}{kind}.v1",
            time=rfc3339(time_ms),
            recordedtime=rfc3339(recorded_ms),
            sequence=f"{tap.sequence:012d}",
            subject=msgspec.UNSET if subject is None else subject,
            datacontenttype="application/json",
            dataschema=f"{SCHEMA_PREFIX}{kind}.v1",
            prev=prev,
            data=data,
        )
    )
    if len(raw) > EVENT_BYTES_MAX:
        raise BadMessage(f"record {tap} has {len(raw)} bytes, at most {EVENT_BYTES_MAX} are allowed")
    return raw


def decode_event(raw: bytes | memoryview) -> Event:
    """Read a record and hold it to the envelope's rules; raises BadMessage saying which one it breaks."""
    if len(raw) > EVENT_BYTES_MAX:
        raise BadMessage(f"record of {len(raw)} bytes, at most {EVENT_BYTES_MAX} are allowed")
    try:
        event = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as problem:
        raise BadMessage(f"not a record: {problem}") from problem
    if event.specversion != "1.0":
        raise BadMessage(f"CloudEvents version {event.specversion[:20]!r} is unknown")
    if event.type not in _TYPES:
        raise BadMessage(f"record type {event.type[:80]!r} is unknown")
    tap = parse_tap_id(event.id)
    if tap is None:
        raise BadMessage(f"id {event.id[:80]!r} is not <journal>.<sequence>")
    if event.sequence != f"{tap.sequence:012d}":
        raise BadMessage(f"record {tap}: sequence {event.sequence[:20]!r} contradicts its id")
    if (event.prev is None) != (tap.sequence == 1):
        raise BadMessage(f"record {tap}: prev is null for the first record and for no other")
    if event.prev is not None and not is_digest(event.prev):
        raise BadMessage(f"record {tap}: prev is not a SHA-256 digest in base64url")
    if event.dataschema != _SCHEMAS[_TYPES[event.type]]:
        raise BadMessage(f"record {tap}: data schema {event.dataschema[:80]!r} is not that of its type")
    if not memoryview(event.data).tobytes().startswith(b"{"):
        raise BadMessage(f"record {tap}: data is not an object")
    if _nests_deep(raw):
        raise BadMessage(f"record {tap} nests deeper than {NESTING_MAX}")
    if not _readable(raw):
        raise BadMessage(f"record {tap} has a number that not every reader takes (JSON's are doubles: RFC 8259, 6)")
    return event


def expected_event(raw: bytes, journal: str, sequence: int, source: str) -> Event | None:
    """Record `sequence` of a journal of `source`, or None when these bytes are anything else.

    The fast way of the hub's intake: it knows what must stand here, so it compares instead of taking apart.
    `decode_event` says what is wrong. `prev` is only compared with null; the chain is the caller's to check.
    """
    if len(raw) > EVENT_BYTES_MAX:
        return None
    try:
        event = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    name = _TYPES.get(event.type)
    if (
        name is None
        or event.id != f"{journal}.{sequence}"
        or event.sequence != f"{sequence:012d}"
        or event.source != source
        or event.specversion != "1.0"
        or event.dataschema != _SCHEMAS[name]
        or (event.prev is None) != (sequence == 1)
        or _nests_deep(raw)
        or not _readable(raw)
    ):
        return None
    return event


_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def _nests_deep(raw: bytes | memoryview) -> bool:
    """Whether a JSON text nests deeper than NESTING_MAX."""
    text = bytes(raw)
    if text.count(b"{") + text.count(b"[") <= NESTING_MAX:
        return False
    depth = 0
    for octet in _STRING.sub(b"", text):
        depth += (octet in b"{[") - (octet in b"}]")
        if depth > NESTING_MAX:
            return True
    return False


def _readable(raw: bytes | memoryview) -> bool:
    """Whether a reader that takes apart everything, unknown members too, can: the decoder above skips those."""
    try:
        _everything.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return False
    return True


def decode_data(event: Event, shape: type[T]) -> T:
    """The record's data in the shape of its type; raises BadMessage."""
    try:
        return msgspec.json.decode(event.data, type=shape)
    except (msgspec.DecodeError, RecursionError, ValueError) as problem:
        raise BadMessage(f"record {event.id[:40]}: its data is not of its type: {problem}") from problem


def digest_bytes(raw: bytes | memoryview) -> bytes:
    """SHA-256 of a record's exact bytes, 32 bytes."""
    return hashlib.sha256(raw).digest()


_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def text_of(octets: bytes) -> str:
    """Unpadded base64url, the form of every digest, key and signature in text."""
    return binascii.b2a_base64(octets, newline=False).rstrip(b"=").translate(_URL_SAFE).decode("ascii")


def octets_of(text: str, length: int | None = None) -> bytes:
    """Read unpadded base64url strictly, of `length` bytes when given; raises BadMessage."""
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, TypeError) as problem:
        raise BadMessage(f"{text[:60]!r} is not base64url") from problem
    if length is not None and len(octets) != length:
        raise BadMessage(f"{len(octets)} bytes where {length} are expected")
    if text_of(octets) != text:
        raise BadMessage(f"{text[:60]!r} is not canonical base64url")
    return octets


def digest(raw: bytes | memoryview) -> str:
    """SHA-256 of a record's exact bytes as text: what the next record's `prev` says."""
    return text_of(digest_bytes(raw))


def is_digest(text: str) -> bool:
    """Whether the text has a digest's form."""
    return len(text) == 43 and text.isascii() and text.replace("-", "a").replace("_", "a").isalnum()


def is_journal_id(text: str) -> bool:
    """Whether the text has a journal id's form."""
    return JOURNAL_ID.fullmatch(text) is not None


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
"""`datetime.fromisoformat` takes many more forms, some without seconds, later ones an hour 24."""
_seconds_cache: tuple[int, str] = (-1, "")


def rfc3339(unix_ms: int) -> str:
    """A time in Vietnam's offset with milliseconds, `2026-11-23T06:58:12.417+07:00`."""
    global _seconds_cache
    seconds, rest_ms = divmod(unix_ms, 1000)
    cached, text = _seconds_cache
    if cached != seconds:
        text = datetime.fromtimestamp(seconds, SCHOOL_ZONE).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
        _seconds_cache = (seconds, text)
    return f"{text}.{rest_ms:03d}+07:00"


def clock_data(reading: ClockReading) -> ClockData:
    """A clock reading in its wire form."""
    return ClockData(reading.boot, reading.mono_ms, rfc3339(reading.wall_ms), reading.sync, reading.err_ms)


def unix_ms_of(text: str) -> int:
    """Read RFC 3339 with seconds and a full offset; raises BadMessage for anything else, naive times included."""
    if _RFC3339.fullmatch(text) is None:
        raise BadMessage(f"time {text[:40]!r} is not RFC 3339 with seconds and an offset")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as problem:
        raise BadMessage(f"time {text[:40]!r} is not RFC 3339") from problem
    return (moment - _EPOCH) // _MILLISECOND
