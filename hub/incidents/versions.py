"""Versions of a pack: what one said, kept small, and what the next one says otherwise, named record by record. Pure."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from hub.incidents.pack import Pack
from protocol.errors import BadMessage

KEPT_BYTES_MAX: Final = 16 * 1024 * 1024
"""What one version said, unpacked: LINES_MAX lines of some 60 bytes take 4 MB."""


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What a version said. `lines`: list, day, meal, record, pupil's key (empty: nobody knows); `complete`: by whom."""

    lines: list[tuple[str, str, str, str, str]]
    origins: list[tuple[str, bool]]


Change = Literal["new", "gone", "known", "other-list", "complete", "incomplete"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the newer version says otherwise.

    `new`, `gone`: a serving, or a pupil without one. `known`: whose it is is known now, or otherwise; `other-list`: it
    stands in another list; `complete`, `incomplete`: of a source.
    """

    change: Change
    what: str
    before: str = ""
    after: str = ""


_decoder = msgspec.json.Decoder(Kept)


def kept_of(pack: Pack) -> Kept:
    """What has to be remembered of a version."""
    lines = [
        (line.list, line.day.isoformat(), line.meal, line.record, "" if line.who is None else line.who.key)
        for line in pack.lines
    ]
    return Kept(sorted(lines), sorted((origin.name, origin.complete) for origin in pack.known.origins))


def packed(kept: Kept) -> bytes:
    """As bytes for a table, the same for the same."""
    return zlib.compress(msgspec.json.encode(kept), 6)


def unpacked(octets: bytes) -> Kept:
    """Read what was kept; raises BadMessage."""
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(octets, KEPT_BYTES_MAX)
        if not unpacker.eof:
            raise BadMessage("what was kept of a pack is cut or too long")
        return _decoder.decode(text)
    except (zlib.error, msgspec.DecodeError, ValueError, RecursionError) as problem:
        raise BadMessage(f"what was kept of a pack can't be read: {problem}") from problem


def difference(before: Kept, after: Kept) -> list[Difference]:
    """What `after` says otherwise, servings first; empty where both say the same."""
    old, new = _by_place(before), _by_place(after)
    found = []
    for place in sorted(old.keys() | new.keys()):
        was, now = old.get(place), new.get(place)
        what = " ".join(part for part in place if part)
        if was == now:
            continue
        if was is None and now is not None:
            found.append(Difference("new", what, "", _said(now)))
        elif now is None and was is not None:
            found.append(Difference("gone", what, _said(was), ""))
        elif was is not None and now is not None:
            change: Change = "known" if was[1] != now[1] else "other-list"
            found.append(Difference(change, what, _said(was), _said(now)))
    olds, news = dict(before.origins), dict(after.origins)
    for name in sorted(olds.keys() | news.keys()):
        if olds.get(name) != news.get(name):
            found.append(Difference("complete" if news.get(name) else "incomplete", name))
    return found


def _by_place(kept: Kept) -> dict[tuple[str, str, str], tuple[str, str]]:
    """Meal and record (of who didn't eat: the pupil) -> list and pupil."""
    return {(day, meal, record or f"pupil {key}"): (name, key) for name, day, meal, record, key in kept.lines}


def _said(line: tuple[str, str]) -> str:
    return f"{line[0]} {line[1] or '?'}"
