"""The witness: what a hub holds, or held, of a gateway's journals, as an audit asks it or finds it saved."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

import msgspec

from protocol.errors import BadMessage

WITNESS_BYTES_MAX: Final = 64 * 1024 * 1024
WITNESS_S: Final = 5.0
WITNESS_PATH: Final = "/v1/ledger/journals"


class Held(msgspec.Struct):
    """What a witness holds of one journal; `previous`: the journal that its first record names as the one before."""

    source: str
    through: int
    previous: str | None = None
    head: str | None = None
    missing: list[tuple[int, int]] = []
    pruned_through: int = 0


class Witness(msgspec.Struct):
    """What the hub said, or says, that it holds: journal id -> what of it."""

    journals: dict[str, Held]


def read_witness(witness: str) -> Witness:
    """The hub's own word (its address, or that of its list of journals), or a saved answer. Raises BadMessage."""
    if witness.startswith(("http://", "https://")):
        url = witness if witness.rstrip("/").endswith(WITNESS_PATH) else witness.rstrip("/") + WITNESS_PATH
        try:
            with urllib.request.urlopen(url, timeout=WITNESS_S) as answer:
                body = answer.read(WITNESS_BYTES_MAX)
        except (OSError, ValueError, urllib.error.URLError) as problem:
            raise BadMessage(f"the witness {url} does not answer: {problem}") from problem
    else:
        try:
            body = Path(witness).read_bytes()
        except OSError as problem:
            raise BadMessage(f"the witness {witness} can't be read: {problem.strerror}") from problem
    try:
        return msgspec.json.decode(body, type=Witness)
    except (msgspec.DecodeError, RecursionError, ValueError) as problem:
        raise BadMessage(f"the witness {witness} is not a list of journals: {problem}") from problem
