"""The manifest: what a pack holds, file by file and journal by journal, signed by the hub that made it. Pure.

It says who asked and no time at which it was made: the same records, asked for by the same person, make the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from protocol.envelope import digest_bytes
from protocol.errors import BadMessage
from protocol.signing import Identity, SignatureRefused, fingerprint, verify

TOPIC: Final = b"k12edge.mealaudit.v1\n"
"""What the signed bytes begin with, so that no other signature of a hub can stand here."""
FORM: Final = "k12edge-meal-audit-1"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
FACTS: Final = "facts.json"
SIGNED: Final = "signatures.json"
INDEX: Final = "index.json"
COUNTED: Final = "counted/"
SERVINGS: Final = f"{COUNTED}servings.jsonl"
MEALS: Final = f"{COUNTED}meals.jsonl"
MONTHS: Final = f"{COUNTED}months.json"
NOTES: Final = f"{COUNTED}notes.json"
READ_ME: Final = "readme.txt"
RECORDS: Final = "records/"
LINES: Final = ".jsonl"
MANIFEST_BYTES_MAX: Final = 4 * 1024 * 1024
HOLES_MAX: Final = 10_000

Count = Annotated[int, msgspec.Meta(ge=0)]
Sequence = Annotated[int, msgspec.Meta(ge=1)]


class Listed(msgspec.Struct, frozen=True):
    """A file: its SHA-256, hex, and how many bytes it has."""

    sha256: str
    octets: Count


class Extent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of a journal the pack holds: all records from `first` to `last` but for `missing` ones.

    Of the hub's own (`own`) only those that meals rest on, each by its digest in the index. `unsigned`: records that no
    signature of their device reaches, since they came back from the city.
    """

    source: str
    first: Sequence
    last: Sequence
    own: bool = False
    missing: list[tuple[int, int]] = []
    unsigned: Count = 0


class Manifest(msgspec.Struct, frozen=True):
    """See the room. `key`: the hub's public key; `rules`: the version of the meals' rules; `by`: who asked for it."""

    form: str
    school: str
    hub: str
    key: str
    month: str
    rules: str
    by: str
    journals: dict[str, Extent]
    counts: dict[str, int]
    files: dict[str, Listed]


class Signature(msgspec.Struct, frozen=True):
    """The file beside it."""

    key: str
    sig: str


_manifest = msgspec.json.Decoder(Manifest)
_signature = msgspec.json.Decoder(Signature)


def listed(octets: bytes) -> Listed:
    """A file as a manifest names it."""
    return Listed(digest_bytes(octets).hex(), len(octets))


def signed_manifest(identity: Identity, manifest: Manifest) -> dict[str, bytes]:
    """The manifest's two files."""
    octets = msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1) + b"\n"
    signature = Signature(identity.key, identity.sign(TOPIC + octets))
    return {MANIFEST: octets, SIGNATURE: msgspec.json.encode(signature) + b"\n"}


def manifest_from(octets: bytes) -> Manifest:
    """Read a manifest; raises BadMessage."""
    if len(octets) > MANIFEST_BYTES_MAX:
        raise BadMessage(f"the manifest has {len(octets)} bytes, at most {MANIFEST_BYTES_MAX} are read")
    try:
        found = _manifest.decode(octets)
    except (msgspec.DecodeError, RecursionError, ValueError) as problem:
        raise BadMessage(f"not a manifest: {problem}") from problem
    if found.form != FORM:
        raise BadMessage(f"the pack is of the form {found.form[:60]!r}; this program knows {FORM}")
    if sum(len(one.missing) for one in found.journals.values()) > HOLES_MAX:
        raise BadMessage(f"the manifest names more than {HOLES_MAX} holes")
    return found


def signature_problem(manifest: Manifest, octets: bytes, beside: bytes, hub_key: str | None) -> str | None:
    """What is wrong with the manifest's signature, None where nothing is. `hub_key`: a key, or its fingerprint."""
    try:
        signature = _signature.decode(beside)
        verify(manifest.key, TOPIC + octets, signature.sig)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return "the signature beside it can't be read"
    except SignatureRefused:
        return "it was changed after the hub signed it: the signature isn't over these bytes, by the key that it names"
    if signature.key != manifest.key:
        return "the signature names another key than the manifest"
    if hub_key is not None and hub_key not in (manifest.key, fingerprint(manifest.key)):
        return f"it is signed by another key than the school's hub: {fingerprint(manifest.key)}"
    return None


def file_problems(manifest: Manifest, contents: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Files that aren't as the manifest lists them: name, and what is wrong."""
    found = []
    mine = contents.keys() - {MANIFEST, SIGNATURE}
    for name in sorted(mine | manifest.files.keys()):
        known = manifest.files.get(name)
        if known is None:
            found.append((name[:100], "the manifest lists no such file"))
        elif name not in mine:
            found.append((name[:100], "the manifest lists it, and it isn't there"))
        elif hashlib.sha256(contents[name]).hexdigest() != known.sha256:
            found.append((name, "its bytes aren't those that the manifest names"))
    return found
