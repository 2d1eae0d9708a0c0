"""`k12edge verify` of an audit pack: counted again from its own records; no hub, no network, nothing written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hub.recount.verdict import Verdict

ZIP: Final = b"PK"
"""What zip files begin with; a journal's file begins otherwise."""


def is_pack(path: Path) -> bool:
    """Whether a path is a pack's file, by its name or its first bytes."""
    try:
        with path.open("rb") as file:
            begins = file.read(len(ZIP))
    except OSError:
        return False
    return begins == ZIP or path.suffix.lower() == ".zip"


def verify_pack(path: Path, hub_key: str | None) -> Verdict:
    """Judge a pack's file; raises nothing for what it finds in it."""
    from hub.recount.archive import ZIP_BYTES_MAX, unzipped
    from hub.recount.verdict import UNREADABLE, Verdict, verify_contents
    from protocol.errors import BadMessage

    try:
        with path.open("rb") as file:
            octets = file.read(ZIP_BYTES_MAX + 1)
        return verify_contents(unzipped(octets), hub_key)
    except (ArithmeticError, AssertionError, LookupError, ValueError) as problem:
        # Facts or records that contradict what no school's ever do: somebody made them so.
        told = f"the pack can't be counted: {type(problem).__name__}: {str(problem)[:200]}"
        return Verdict([f"UNREADABLE {told}"], exit_code=UNREADABLE)
    except (BadMessage, OSError) as problem:
        told = f"{path} can't be read: {problem.strerror}" if isinstance(problem, OSError) else str(problem)
        return Verdict([f"UNREADABLE {told}"], exit_code=UNREADABLE)
