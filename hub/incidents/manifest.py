"""The manifest of a pack's files: which version, of what, made when, by whom, how long it took, and what it said. Pure.

It lies beside the files as JSON, so that the next version, made from journals without a hub, names the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hub.incidents.asking import Scope
from hub.incidents.files import File
from hub.incidents.pack import Pack
from hub.incidents.tables import Issue
from hub.incidents.versions import KEPT_BYTES_MAX, Kept, kept_of
from protocol.envelope import rfc3339
from protocol.errors import BadMessage

MANIFEST_BYTES_MAX: Final = KEPT_BYTES_MAX


class Manifest(msgspec.Struct, frozen=True):
    """See the room. `files`: name -> SHA-256 (hex). `scope`: Scope.key. `kept`: what it said, for the next version."""

    scope: str
    number: int
    drill: bool
    made: str
    took_ms: int
    by: str
    origin: str
    complete: bool
    counts: dict[str, int]
    files: dict[str, str]
    kept: Kept


_decoder = msgspec.json.Decoder(Manifest)


def manifest_of(scope: Scope, pack: Pack, issue: Issue, files: Sequence[File], took_ms: int) -> Manifest:
    """The manifest of a pack that was made."""
    return Manifest(
        scope.key,
        issue.number,
        issue.drill,
        rfc3339(issue.made_ms),
        took_ms,
        issue.by,
        issue.origin,
        pack.complete,
        pack.counts(),
        {file.name: file.sha256 for file in files},
        kept_of(pack),
    )


def manifest_bytes(manifest: Manifest) -> bytes:
    """As JSON; `manifest_from` gives the same value again."""
    return msgspec.json.encode(manifest) + b"\n"


def manifest_from(octets: bytes) -> Manifest:
    """Read a manifest; raises BadMessage."""
    if len(octets) > MANIFEST_BYTES_MAX:
        raise BadMessage(f"a manifest has {len(octets)} bytes, at most {MANIFEST_BYTES_MAX} are read")
    try:
        return _decoder.decode(octets)
    except (msgspec.DecodeError, ValueError, RecursionError) as problem:
        raise BadMessage(f"not a manifest: {problem}") from problem
