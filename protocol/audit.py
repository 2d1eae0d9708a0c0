"""The audit form that hub and city share: pages of records with their effective times, digests of ranges."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from protocol.envelope import Event, digest_bytes, rfc3339, text_of
from protocol.errors import BadMessage
from protocol.time import Effective

PAGE_MAX: Final = 1000
PAGE_DEFAULT: Final = 100
RANGE_MAX: Final = 1_000_000
EARLIEST_MS: Final = -62_000_000_000_000
LATEST_MS: Final = 253_300_000_000_000
"""Years 5 to 9996: a clock that says anything beyond is told as the nearest time that RFC 3339 can write."""


class EffectiveText(msgspec.Struct, frozen=True):
    """An effective time as it is told: RFC 3339, open bounds null."""

    best: str
    not_before: str | None
    not_after: str | None
    quality: str


class Item(msgspec.Struct, frozen=True):
    """A record's exact bytes, or at a hub what stands for it (Withheld), and when it truly was."""

    event: msgspec.Raw
    effective: EffectiveText


class Withheld(msgspec.Struct, frozen=True):
    """What stands for a record whose words the asker may not have: it is counted and named, and says nothing.

    `digest`: SHA-256 of the record's exact bytes, as the next one of its journal names it in `prev`.
    """

    id: str
    source: str
    type: str
    time: str
    digest: str
    withheld: bool


class Page(msgspec.Struct, frozen=True):
    """Records in commit order; `next` goes into the next request's `after`, null at the end."""

    items: list[Item]
    next: str | None


class RangeDigest(msgspec.Struct, frozen=True):
    """How many records of a range are held, and the hash over their digests in sequence order."""

    count: int
    sha256: str


def told(effective: Effective) -> EffectiveText:
    """An effective time in its told form."""
    return EffectiveText(
        _written(effective.best_ms),
        None if effective.not_before_ms is None else _written(effective.not_before_ms),
        None if effective.not_after_ms is None else _written(effective.not_after_ms),
        effective.quality,
    )


def _written(unix_ms: int) -> str:
    return rfc3339(max(EARLIEST_MS, min(unix_ms, LATEST_MS)))


def encode_page(rows: Sequence[tuple[int, bytes, Effective]], *, more: bool) -> bytes:
    """The page of these records (position, exact bytes, effective time); `more` follow it."""
    items = [Item(msgspec.Raw(raw), told(effective)) for _, raw, effective in rows]
    return msgspec.json.encode(Page(items, str(rows[-1][0]) if rows and more else None))


def withheld(event: Event, raw: bytes) -> bytes:
    """What a page has in place of a record whose words the asker may not have."""
    stands = Withheld(event.id, event.source, event.type, event.time, text_of(digest_bytes(raw)), withheld=True)
    return msgspec.json.encode(stands)


def cursor_of(after: str | None) -> int:
    """The position that an `after` stands for; raises BadMessage."""
    if after is None or after == "":
        return 0
    if not after.isascii() or not after.isdigit() or len(after) > 18:
        raise BadMessage(f"after={after[:40]!r} is not what an earlier page's `next` said")
    return int(after)


def range_digest(digests: Iterable[bytes]) -> RangeDigest:
    """SHA-256 over the raw 32-byte digests, joined in sequence order."""
    count, total = 0, hashlib.sha256()
    for digest in digests:
        total.update(digest)
        count += 1
    return RangeDigest(count, text_of(total.digest()))
