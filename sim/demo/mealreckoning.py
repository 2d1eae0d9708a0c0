"""The demonstration's reckoning of a lunch: what counters showed, the hub counted, and the drill names.

The other side is always what was handed out, or a count by force from the counters' raw records.
"""

from __future__ import annotations

import csv
import subprocess
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hub.incidents.words import LIST_WORDS, WORDS
from sim.demo.canteen import BOXES, Canteen
from sim.demo.kitchen import Kitchen
from sim.demo.lunch import Again, Lunch
from sim.demo.mealcount import MealCount, Tray, count_meal, records_of
from sim.parts import PROGRAM, PartFailed
from sim.reckoning import signalled_taps

NAMED_MAX: Final = 5
Lists = dict[str, Counter[tuple[str, str]]]
"""List of a pack -> (pupil's key or nothing, record), how often."""
LIST, KEY, RECORD = (WORDS["vi"][name] for name in ("list", "key", "record"))
"""Heads of a drill's CSV."""


@dataclass(slots=True)
class MealReckoning:
    """What was found: numbers to tell, and what isn't as promised."""

    trays: int = 0
    seconds: int = 0
    unsettled: int = 0
    adjustments: int = 0
    drill_s: float = 0.0
    lists: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {name: getattr(self, name) for name in self.__slots__}


def reckon_meal(canteen: Canteen, kitchen: Kitchen, lunch: Lunch, present: Iterable[str]) -> MealReckoning:
    """Everything of it. Raises NeedsHands where the hub doesn't answer."""
    counted = count_meal(records_of(canteen.folder / box for box in BOXES), present)
    items = kitchen.servings()["items"]
    found = MealReckoning(
        len(counted.trays),
        sum(one["nth"] > 1 for one in items),
        sum(not one["confirmed"] for one in items),
        kitchen.adjustments(),
    )
    shown = {tap for box in BOXES for tap, word in signalled_taps([canteen.signals_of(box)]).items() if _tray(word)}
    found.problems += [
        *handed_otherwise(counted, lunch.handed),
        *_differ("shown as a tray, in no counter's records", shown - counted.accepted),
        *held_otherwise(items, counted.trays),
        *known_otherwise(counted.trays, lunch.expected),
        *settled_otherwise(items, counted.trays),
        *_shifts(counted.trays),
        *kitchen.problems(),
    ]
    found.lists = {name: lines.total() for name, lines in counted.lists.items()}
    began_s = time.monotonic()
    drilled = drill(canteen, kitchen.day)
    found.drill_s = round(time.monotonic() - began_s, 1)
    found.problems += listed_otherwise("drill", drilled, counted.lists)
    # Without the hub nobody says who was at school; who ate is known.
    told, force = (
        {name: one for name, one in lists.items() if name != "not-eaten"}
        for lists in (without_hub(canteen, kitchen.day), counted.lists)
    )
    found.problems += listed_otherwise("from journals", told, force)
    return found


def _tray(word: str) -> bool:
    return word == "accepted"


def _differ(what: str, names: Collection[str]) -> Iterator[str]:
    if names:
        yield f"{what}: {len(names)}, such as {', '.join(sorted(names)[:NAMED_MAX])}"


def handed_otherwise(counted: MealCount, handed: Mapping[str, int]) -> Iterator[str]:
    """Nobody was refused, and nobody's tray counts twice."""
    eaters = counted.eaters()
    wrong = [pupil for pupil in eaters.keys() | handed.keys() if eaters[pupil] != handed.get(pupil, 0)]
    yield from _differ("trays that counters recorded otherwise than they were handed out", wrong)
    strangers = sum(not tray.known for tray in counted.trays)
    if strangers != 1:
        yield f"{strangers} trays of nobody who is known, not 1"


def held_otherwise(items: Iterable[Mapping[str, Any]], trays: Iterable[Tray]) -> Iterator[str]:
    """The hub has each tray once, of the same pupil, at the same counter."""
    held = Counter((one["record"], one["device"], one["student"]) for one in items)
    ours = Counter((tray.record, tray.box, tray.eater if tray.known else None) for tray in trays)
    yield from _differ("trays that the hub hasn't, or has otherwise", [str(one) for one in ours - held])
    yield from _differ("servings at the hub that no counter recorded", [str(one) for one in held - ours])


def known_otherwise(trays: Iterable[Tray], expected: Iterable[Again]) -> Iterator[str]:
    """Second helpings were known as such where a counter could know, and marked where it couldn't."""
    found = Counter((tray.eater, tray.box, tray.said, tray.alone) for tray in trays)
    missing = [
        f"{one.pupil} at {one.box}: not helping {one.nth}{', alone' if one.alone else ''}"
        for one in expected
        if not found[one.pupil, one.box, one.nth, one.alone]
    ]
    yield from _differ("second helpings recorded otherwise", missing)


def settled_otherwise(items: Iterable[Mapping[str, Any]], trays: Iterable[Tray]) -> Iterator[str]:
    """What a counter that was alone took for a first tray, and isn't, waits for a person; nothing else does."""
    before, wanted = Counter[str](), set[str]()
    for tray in trays:
        before[tray.eater] += 1
        if before[tray.eater] > 1 and tray.said == 1:
            wanted.add(tray.record)
    flagged = {one["record"] for one in items if not one["confirmed"]}
    yield from _differ("trays to be settled, or not", wanted ^ flagged)


def _shifts(trays: Iterable[Tray]) -> Iterator[str]:
    if {tray.shift for tray in trays} != {1, 2}:
        yield "not both shifts were served"


def listed_otherwise(what: str, told: Lists, counted: Lists) -> Iterator[str]:
    """Each list of a pack has the lines that were counted, each once."""
    for name in sorted(told.keys() | counted.keys()):
        theirs, ours = told.get(name, Counter()), counted.get(name, Counter())
        if theirs != ours:
            yield f"{what}: {name}: {theirs.total()} lines, counted {ours.total()}"
            yield from _differ(f"{what}: {name}", [str(one) for one in ((ours - theirs) + (theirs - ours))])


# --- the drill --------------------------------------------------------------------------------------------------------


def drill(canteen: Canteen, day: str) -> Lists:
    """The lists of an exercise, as its file has them. Raises PartFailed."""
    out = canteen.folder / "dien-tap"
    canteen.command("incident", "--meal", "lunch", "--date", day, "--drill", "--out", str(out))
    return _read(out)


def without_hub(canteen: Canteen, day: str) -> Lists:
    """The same from the counters' own journals, without asking the hub. Raises PartFailed."""
    out = canteen.folder / "tu-so-cua-quay"
    words = ["incident", "--meal", "lunch", "--date", day, "--drill", "--out", str(out), "--journals"]
    done = subprocess.run(
        [*PROGRAM, *words, *(str(canteen.folder / box) for box in BOXES)], capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise PartFailed(f"k12edge incident: {done.stderr.strip()}")
    return _read(out)


def _read(out: Path) -> Lists:
    files = sorted(out.glob("*.csv"))
    if len(files) != 1 or len(list(out.glob("*.pdf"))) != 1 or len(list(out.glob("*.xlsx"))) != 1:
        raise PartFailed(f"the pack left {sorted(path.name for path in out.iterdir())}")
    names = {word: name for name, word in LIST_WORDS["vi"].items()}
    found: Lists = {}
    with files[0].open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        head = next(rows)
        at, key, record = head.index(LIST), head.index(KEY), head.index(RECORD)
        for row in rows:
            if row[at] in names:
                found.setdefault(names[row[at]], Counter())[row[key], row[record]] += 1
    return found
