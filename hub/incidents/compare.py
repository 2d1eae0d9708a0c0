"""The comparison of ill and well: of each meal, shift, counter, menu and portion, how many of both had it and hadn't.

Plain counts and attack rates. It proves nothing: it shows a doctor where to look first. Whoever perhaps ate is in
neither column.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from hub.incidents.pack import LISTS, Line, Pack

By = Literal["meal", "shift", "counter", "menu", "portion"]


@dataclass(frozen=True, slots=True)
class Rate:
    """Of so many how many fell ill; `percent` is None of nobody."""

    ill: int
    well: int

    @property
    def all(self) -> int:
        """How many there are."""
        return self.ill + self.well

    @property
    def percent(self) -> float | None:
        """The attack rate."""
        return None if not self.all else 100 * self.ill / self.all


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that people may have had in common: who had it, and who hadn't of the same meal's pupils."""

    by: By
    meal: str
    label: str
    had: Rate
    not_had: Rate

    @property
    def difference(self) -> float | None:
        """Percentage points by which more of those who had it are ill; None where one side is nobody."""
        if self.had.percent is None or self.not_had.percent is None:
            return None
        return self.had.percent - self.not_had.percent


def ticks_of(pack: Pack) -> Mapping[str, bool]:
    """Pupil -> ill. Where somebody ticked who is well, only who was ticked counts; else everybody else is well."""
    ill = pack.known.ill
    if any(not sick for sick in ill.values()):
        return ill
    return {key: ill.get(key, False) for key in {*pack.known.roll, *ill, *pack.keys(*LISTS)}}


def comparison(pack: Pack) -> list[Row]:
    """Every row, by kind; empty where nobody is ticked ill."""
    ticks = ticks_of(pack)
    if not any(ticks.values()):
        return []
    lines = [line for line in pack.of("eaten", "second") if line.who is not None]
    perhaps: dict[str, set[str]] = defaultdict(set)
    for line in pack.of("maybe"):
        if line.who is not None:
            perhaps[_meal(line)].add(line.who.key)
    groups: dict[tuple[By, str, str], set[str]] = defaultdict(set)
    for day, name in pack.known.asked:
        groups["meal", f"{day.isoformat()} {name}", ""] = set()
    for line in lines:
        assert line.who is not None
        for by, label in _labels(pack, line):
            groups[by, _meal(line), label].add(line.who.key)
    found = []
    for (by, meal, label), had in groups.items():
        others = ticks.keys() - had - perhaps[meal]
        found.append(Row(by, meal, label, _rate(had - perhaps[meal], ticks), _rate(others, ticks)))
    order: list[By] = ["meal", "shift", "counter", "menu", "portion"]
    return sorted(found, key=lambda row: (order.index(row.by), row.meal, row.label))


def _labels(pack: Pack, line: Line) -> Iterable[tuple[By, str]]:
    assert line.who is not None
    yield "meal", ""
    yield "shift", str(line.shift)
    if line.counter:
        yield "counter", line.counter
    menu = pack.known.menus.get((line.day, line.meal))
    if menu is not None and menu.text:
        yield "menu", menu.text
    if line.who.portion:
        yield "portion", line.who.portion


def _meal(line: Line) -> str:
    return f"{line.day.isoformat()} {line.meal}"


def _rate(keys: Iterable[str], ticks: Mapping[str, bool]) -> Rate:
    known = [ticks[key] for key in keys if key in ticks]
    return Rate(sum(known), len(known) - sum(known))
