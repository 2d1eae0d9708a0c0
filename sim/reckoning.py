"""The reckoning by tap id: signals shown are a subset of the journals, and journals, hub and city are equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from edge.bookcopy import journal_files, opened
from edge.journalfile import FILE_NAME
from protocol.envelope import decode_data, decode_event
from protocol.taps import TAP_TYPES, TapData

ANSWERS = ("accepted", "repeated", "refused")


@dataclass(slots=True)
class Reckoning:
    """What was compared: counts, and by name whatever isn't as promised."""

    signals: int = 0
    journal: int = 0
    hub: int = 0
    city: int | None = None
    lost: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    phantom: list[str] = field(default_factory=list)
    unsignalled: list[str] = field(default_factory=list)
    unexplained: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    accepted: Counter[str] = field(default_factory=Counter)

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        return not (self.lost or self.double or self.changed or self.phantom or self.unexplained or self.faults)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "kept": self.kept,
            "signals": self.signals,
            "journal": self.journal,
            "hub": self.hub,
            "city": self.city,
            "lost": self.lost,
            "double": self.double,
            "changed": self.changed,
            "phantom": self.phantom,
            "without_signal": self.unsignalled,
            "without_signal_unexplained": self.unexplained,
            "faults": self.faults,
        }


def journal_taps(data_dirs: Iterable[Path]) -> dict[str, bytes]:
    """Tap id -> exact bytes, from the gateways' own files."""
    taps: dict[str, bytes] = {}
    for data_dir in data_dirs:
        for file in journal_files(data_dir):
            with opened(file) as database:
                for (raw,) in database.execute("SELECT raw FROM event ORDER BY position"):
                    event = decode_event(raw)
                    if event.name in TAP_TYPES:
                        taps[event.id] = bytes(raw)
    return taps


def last_records(data_dirs: Iterable[Path]) -> dict[str, int]:
    """Journal -> its last sequence, of all that have records in the gateways' own files."""
    found: dict[str, int] = {}
    for data_dir in data_dirs:
        for file in journal_files(data_dir):
            with opened(file) as database:
                found |= dict(database.execute(_LAST))
    return found


_LAST = (
    "SELECT journal.journal, max(event.position) - (journal.number << 40) FROM journal JOIN event"
    " ON event.position BETWEEN journal.number << 40 AND ((journal.number + 1) << 40) - 1 GROUP BY journal.number"
)


def running_journals(data_dirs: Iterable[Path]) -> frozenset[str]:
    """The newest journal of each data directory."""
    newest: set[str] = set()
    for data_dir in data_dirs:
        with opened(data_dir / FILE_NAME) as database:
            newest |= {row[0] for row in database.execute(_NEWEST)}
    return frozenset(newest)


_NEWEST = "SELECT journal FROM journal WHERE salvaged = 0 ORDER BY number DESC LIMIT 1"


def signalled_taps(files: Iterable[Path]) -> dict[str, str]:
    """Tap id -> signal, from the gateways' jsonl sinks."""
    shown: dict[str, str] = {}
    for file in files:
        for line in file.read_bytes().split(b"\n") if file.exists() else ():
            if line:
                signal = msgspec.json.decode(line)
                if signal["signal"] in ANSWERS:
                    shown[signal["tap"]] = signal["signal"]
    return shown


def faults_in(files: Iterable[Path]) -> list[str]:
    """Alarms from a fault of ours, which no storage or wire can excuse: a tap was seen and not handled."""
    return [
        f"{file.name}: {line.decode(errors='replace')}"
        for file in files
        if file.exists()
        for line in file.read_bytes().split(b"\n")
        if b'"internal-fault"' in line
    ]


def answers_in(file: Path) -> int:
    """How many taps a jsonl sink names, without reading them one by one."""
    if not file.exists():
        return 0
    octets = file.read_bytes()
    return octets.count(b"\n") - octets.count(b'"tap":null')


def only_taps(events: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Of an audit, the taps."""
    return [(name, raw) for name, raw in events if decode_event(raw).name in TAP_TYPES]


def reckon(
    signals: Mapping[str, str],
    journal: Mapping[str, bytes],
    hub: list[tuple[str, bytes]],
    city: list[tuple[str, bytes]] | None,
    in_flight_max: int,
    running: frozenset[str] = frozenset(),
    trays: Mapping[str, int] | None = None,
) -> Reckoning:
    """Compare all four.

    `trays`: kind and pupil -> how often they were accepted on purpose; who isn't in it, at most once.
    A record without a signal is explained when it is among the last `in_flight_max` of a journal that ended (its
    gateway was killed between commit and signal); `running` journals have no such excuse.
    """
    found = Reckoning(len(signals), len(journal), len(hub), None if city is None else len(city))
    found.lost += [f"{name}: signalled, not in a journal" for name in signals if name not in journal]
    for keeper, events in (("hub", hub), ("city", city)):
        if events is None:
            continue
        counts = Counter(name for name, _ in events)
        found.double += [f"{name}: {count} times at the {keeper}" for name, count in counts.items() if count > 1]
        held = dict(events)
        found.lost += [f"{name}: not at the {keeper}" for name in journal if name not in held]
        found.phantom += [f"{name}: at the {keeper}, in no journal" for name in held if name not in journal]
        found.changed += [
            f"{name}: other bytes at the {keeper}" for name in held if name in journal and held[name] != journal[name]
        ]
    last = _last_of_journals(journal, in_flight_max, running)
    found.unsignalled = [name for name in journal if name not in signals]
    found.unexplained = [f"{name}: recorded, never signalled" for name in found.unsignalled if name not in last]
    _count_accepted(found, journal, signals, trays or {})
    return found


def _last_of_journals(journal: Mapping[str, bytes], count: int, running: frozenset[str]) -> set[str]:
    by_journal: dict[str, list[int]] = {}
    for name in journal:
        run, _, sequence = name.partition(".")
        by_journal.setdefault(run, []).append(int(sequence))
    return {
        f"{run}.{sequence}"
        for run, found in by_journal.items()
        if run not in running
        for sequence in sorted(found)[-count:]
    }


def _count_accepted(
    found: Reckoning, journal: Mapping[str, bytes], signals: Mapping[str, str], trays: Mapping[str, int]
) -> None:
    for name, raw in journal.items():
        data = decode_data(decode_event(raw), TapData)
        if name in signals and signals[name] != data.decision:
            found.changed.append(f"{name}: signalled {signals[name]}, recorded {data.decision}")
        if data.decision == "accepted":
            found.accepted[f"{data.kind} {data.student or data.card}"] += 1
    found.double += [
        f"{who}: accepted {count} times" for who, count in found.accepted.items() if count > trays.get(who, 1)
    ]
