"""Tables as files: CSV that a spreadsheet opens without running or changing anything, JSON for programs. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

BOM: Final = b"\xef\xbb\xbf"
"""Without it Excel reads UTF-8 as the machine's own code page, and Vietnamese as rubbish."""
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes spreadsheets take a text for a formula (OWASP, CSV injection); the wide forms after a conversion."""


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[str | int | float]]) -> bytes:
    """A CSV file in UTF-8 with its mark, CRLF (RFC 4180); texts that would be a formula get an apostrophe before."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_safe(cell) for cell in header])
    writer.writerows([_safe(cell) for cell in row] for row in rows)
    return BOM + out.getvalue().encode("utf-8")


def json_bytes(value: Any) -> bytes:
    """A JSON document in UTF-8, a line for each thing."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _safe(cell: str | int | float) -> str | int | float:
    if isinstance(cell, str) and cell.lstrip(" ").startswith(FORMULA):
        return "'" + cell
    return cell
