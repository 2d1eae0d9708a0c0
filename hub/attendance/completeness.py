"""Completeness: until when everything is here that the gates read, and who vouches for it. Before, nobody is absent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hub.attendance.evidence import Session, Watermark, day_begins_ms

MINUTE_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Completeness:
    """What is known of one moment: `waiting`: devices whose records may be missing; `waived`: (device, by whom, or
    `retired`: it was retired that day before all its records had come).

    `flawed`: (device, why): what no waiting can bring, see Watermark.
    """

    waiting: tuple[str, ...]
    waived: tuple[tuple[str, str], ...] = ()
    flawed: tuple[tuple[str, str], ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing is waited for."""
        return not self.waiting


def completeness(
    words: Iterable[Watermark], at_ms: int, now_ms: int | None = None, from_ms: int | None = None
) -> Completeness:
    """Whether all taps until `at_ms` are here, by what was said of every device expected by then.

    A device that retired before is not waited for. What a `complete` claims counts only where the hub holds all the
    records that it names, and up to its time less its clock's error. A school without a gate device is never complete:
    nobody could have seen who came. Nor is a moment that has not come by `now_ms` (None: it has), nor a time that began
    at `from_ms`, told in minutes, before the first gate stood, unless a person waits no longer.
    """
    expected: dict[str, int] = {}
    first: dict[str, int] = {}
    named: set[str] = set()
    claiming: set[str] = set()
    through: dict[str, int] = {}
    waived: dict[str, str] = {}
    retired: dict[str, int] = {}
    flawed: set[tuple[str, str]] = set()
    for word in words:
        match word.kind:
            case "expected":
                named.add(word.device)
                if word.at_ms <= at_ms:
                    expected[word.device] = max(word.at_ms, expected.get(word.device, word.at_ms))
                    first[word.device] = min(word.at_ms, first.get(word.device, word.at_ms))
            case "complete":
                claiming.add(word.device)
                if word.held >= word.last:
                    claimed_ms = word.complete_to_ms - word.error_ms
                    through[word.device] = max(through.get(word.device, claimed_ms), claimed_ms)
            case "waived":
                if word.complete_to_ms >= at_ms:
                    waived[word.device] = word.by
            case "retired":
                if word.at_ms <= at_ms:
                    retired[word.device] = max(word.at_ms, retired.get(word.device, word.at_ms))
            case "flawed":
                if word.at_ms <= at_ms:
                    flawed.add((word.device, word.by))
    # A gate that wasn't there yet saw nobody, whatever it claims; where nobody named its beginning, it was there.
    expected |= dict.fromkeys(claiming - named, -1)
    first |= dict.fromkeys(claiming - named, -1)
    # One that stands at a gate again is waited for again.
    gone = {name for name, since_ms in retired.items() if since_ms >= expected.get(name, since_ms)}
    standing = sorted(expected.keys() - gone)
    seen_from = (
        from_ms is None
        or any(since_ms < from_ms + MINUTE_MS for since_ms in first.values())
        or waived.keys() & first.keys()
    )
    if not standing or not seen_from:
        return Completeness(("*",))
    if now_ms is not None and now_ms < at_ms:
        return Completeness(tuple(standing))
    behind = [name for name in standing if through.get(name, at_ms - 1) < at_ms]
    # What a device that was retired today had not brought by then is waited for by nobody: the person decided it.
    owing = [
        name
        for name in sorted(gone & expected.keys())
        if retired[name] >= day_begins_ms(at_ms) and through.get(name, retired[name] - 1) < retired[name]
    ]
    return Completeness(
        tuple(name for name in behind if name not in waived),
        (
            *((name, waived[name]) for name in behind if name in waived),
            *((name, waived.get(name, "retired")) for name in owing),
        ),
        tuple(sorted(flawed)),
    )


def session_completeness(words: Iterable[Watermark], session: Session, now_ms: int | None = None) -> Completeness:
    """Whether all taps of a half-day until its final moment are here."""
    return completeness(words, session.final_ms, now_ms, session.opens_ms)
