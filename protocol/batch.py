"""Batches: a header line that signs a range of a journal, then each record's exact bytes on a line of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from protocol.envelope import EVENT_BYTES_MAX, digest, is_digest, is_journal_id
from protocol.errors import BadMessage
from protocol.signing import Identity, verify
from protocol.taps import SEQUENCE_MAX

BATCH_EVENTS_MAX: Final = 500
BATCH_BYTES_MAX: Final = 512 * 1024
"""A batch ends at whichever comes first; brokers must take this many bytes and a header (MESSAGE_BYTES_MAX)."""
MESSAGE_BYTES_MAX: Final = BATCH_BYTES_MAX + 1024


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """Names the journal, its first sequence here, how many records follow, the last one's digest, the signature."""

    journal: str
    first: int
    count: int
    head: str
    sig: str
    """It proves the last record, and what the chain reaches from it: enough for those who hold them later."""
    body: str | None = None
    """The digest of all lines as sent: so a hub knows a broken file from a message that was changed on its way."""
    bodysig: str | None = None
    """Its signature. A single record has neither: `head` says all."""

    @property
    def last(self) -> int:
        """The last record's sequence."""
        return self.first + self.count - 1


@dataclass(frozen=True, slots=True)
class Batch:
    """A header and its records' exact bytes, in order of sequence."""

    header: Header
    lines: tuple[bytes, ...]


_header_decoder = msgspec.json.Decoder(Header)
_header_encoder = msgspec.json.Encoder()


def signed_text(journal: str, first: int, count: int, head: str) -> bytes:
    """The ASCII text that a batch's signature signs."""
    return f"k12edge.batch.v1\n{journal}\n{first}\n{count}\n{head}".encode("ascii")


def body_text(journal: str, first: int, count: int, body: str) -> bytes:
    """The ASCII text that the signature of a batch's body signs."""
    return f"k12edge.batch.body.v1\n{journal}\n{first}\n{count}\n{body}".encode("ascii")


def encode_batch(identity: Identity, journal: str, first: int, lines: Sequence[bytes]) -> bytes:
    """Sign and join the records `first`, `first`+1, ... of a journal."""
    assert 1 <= len(lines) <= BATCH_EVENTS_MAX
    count, head = len(lines), digest(lines[-1])
    sig = identity.sign(signed_text(journal, first, count, head))
    joined = b"\n".join(lines)
    body = digest(joined) if count > 1 else None
    bodysig = None if body is None else identity.sign(body_text(journal, first, count, body))
    header = Header(journal, first, count, head, sig, body, bodysig)
    return _header_encoder.encode(header) + b"\n" + joined


def decode_batch(payload: bytes) -> Batch:
    """Take a batch apart and hold it to its bounds; raises BadMessage. The signature isn't verified yet."""
    if len(payload) > MESSAGE_BYTES_MAX:
        raise BadMessage(f"batch of {len(payload)} bytes, at most {MESSAGE_BYTES_MAX} are allowed")
    parts = payload.split(b"\n")
    try:
        header = _header_decoder.decode(parts[0])
    except (msgspec.DecodeError, RecursionError, ValueError) as problem:
        raise BadMessage(f"not a batch header: {problem}") from problem
    if not is_journal_id(header.journal):
        raise BadMessage("the header's journal is not 16 hex digits")
    if not 1 <= header.count <= BATCH_EVENTS_MAX:
        raise BadMessage(f"the header counts {header.count} records, 1 to {BATCH_EVENTS_MAX} are allowed")
    if header.first < 1 or header.last > SEQUENCE_MAX:
        raise BadMessage(f"the header begins at {header.first}")
    if header.count != len(parts) - 1:
        raise BadMessage(f"the header counts {header.count} records, {len(parts) - 1} lines follow")
    if not is_digest(header.head):
        raise BadMessage("the header's head is not a digest")
    if max(map(len, parts[1:])) > EVENT_BYTES_MAX or not all(parts[1:]):
        raise BadMessage("a line is empty or longer than a record may be")
    if digest(parts[-1]) != header.head:
        raise BadMessage("the last record is not the one that the header's head names")
    if (header.body is None) != (header.bodysig is None):
        raise BadMessage("a body's digest and its signature go together")
    if header.body is not None and digest(payload[len(parts[0]) + 1 :]) != header.body:
        raise BadMessage("the records are not those that were sent: their digest is not the header's body")
    return Batch(header, tuple(parts[1:]))


class _Link(msgspec.Struct):
    prev: str | None = None


_link_decoder = msgspec.json.Decoder(_Link)


def proven_from(batch: Batch) -> int:
    """The place of the first line that a batch's signatures prove: 0 where its body is signed.

    Else the last record is signed by its digest, and each record names the one before. Where a line doesn't name the
    bytes before it, those are nobody's word.
    """
    lines = batch.lines
    place = 0 if batch.header.body is not None else len(lines) - 1
    while place and _prev_of(lines[place]) == digest(lines[place - 1]):
        place -= 1
    return place


def _prev_of(line: bytes) -> str | None:
    try:
        return _link_decoder.decode(line).prev
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None


def verify_batch(key: str, header: Header) -> None:
    """Return if the header was signed by `key`; raises SignatureRefused."""
    verify(key, signed_text(header.journal, header.first, header.count, header.head), header.sig)
    if header.body is not None:
        verify(key, body_text(header.journal, header.first, header.count, header.body), header.bodysig or "")
