"""The drivers' definition of done: edge/readers/quality.toml, and the tables of edge/readers/README.md made of it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

from tests.houserules.reading import ROOT

PATH = ROOT / "edge" / "readers" / "quality.toml"
WORDS = {"example", "address", "extra", "cards", "two_cards", "returns", "notes", "rules"}
STATES = ("done", "open", "exempt")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a driver stands to a rule: done, by a test or a page; open or exempt, and why."""

    driver: str
    rule: str
    state: str
    said: str


def document(text: str | None = None) -> dict[str, Any]:
    return tomllib.loads(PATH.read_text(encoding="utf-8") if text is None else text)


def standings(found: dict[str, Any]) -> list[Standing]:
    return [
        Standing(driver, rule, state, said)
        for driver, about in found["driver"].items()
        for rule, standing in about.get("rules", {}).items()
        for state, said in standing.items()
    ]


def faults(found: dict[str, Any], schemes: set[str]) -> list[str]:
    """What is wrong with the list, in words; nothing where it is whole and each `done` leads to something."""
    drivers: dict[str, Any] = found["driver"]
    wrong = [f"{name}: in SCHEMES, and not in quality.toml" for name in schemes - set(drivers)]
    wrong += [f"{name}: in quality.toml, and not in SCHEMES" for name in set(drivers) - schemes]
    for driver, about in drivers.items():
        wrong += [f"{driver}: {word} is missing or unknown" for word in WORDS ^ set(about)]
        rules = about.get("rules", {})
        wrong += [f"{driver}: the rule {rule} is missing or unknown" for rule in set(found["rules"]) ^ set(rules)]
        wrong += [f"{driver}: {rule} has one standing" for rule, standing in rules.items() if len(standing) != 1]
    for one in standings(found):
        if one.state not in STATES:
            wrong.append(f"{one.driver}: {one.rule} is {one.state}, not one of {', '.join(STATES)}")
        elif one.state == "done":
            path, _, name = one.said.partition("::")
            place = ROOT / path
            if not place.is_file() or (name and f"def {name}(" not in place.read_text(encoding="utf-8")):
                wrong.append(f"{one.driver}: {one.rule} is done by {one.said}, which isn't there")
        elif len(one.said.split()) < 2:
            wrong.append(f"{one.driver}: {one.rule} is {one.state}, and why?")
    return wrong


def capabilities() -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table for people who choose a reader."""
    head = ["driver", "address", "cards", "two cards at once", "comes back after unplugging", "extra", "notes"]
    rows = [
        [
            f"`{name}.py`",
            f"`{about['address']}`",
            about["cards"],
            about["two_cards"],
            about["returns"],
            f"`{about['extra']}`" if about["extra"] else "–",
            about["notes"],
        ]
        for name, about in document()["driver"].items()
    ]
    return head, rows


def quality() -> tuple[list[str], list[list[str]], list[str]]:
    """Head and rows of the table of rules, and a line for each that isn't done."""
    found = document()
    head = ["driver", *found["rules"]]
    by_place = {(one.driver, one.rule): one for one in standings(found)}
    rows = []
    for driver in found["driver"]:
        cells = [by_place[driver, rule] for rule in found["rules"]]
        rows.append([f"`{driver}`", *(_cell(one) for one in cells)])
    reasons = [
        f"- `{one.driver}`, {one.rule}, {one.state}: {one.said}." for one in standings(found) if one.state != "done"
    ]
    rules = [f"- {rule}: {meaning}" for rule, meaning in found["rules"].items()]
    return head, rows, [*rules, "", "Not done:", "", *reasons]


def summary() -> tuple[list[str], list[list[str]]]:
    """Head and rows of the short table on the project's first page; `real hardware` is honest."""
    found = document()
    states = {(one.driver, one.rule): one.state for one in standings(found)}
    head = ["address", "cards", "extra", "contract suite", "comes back", "wiring", "real hardware"]
    rules = ["contract", "hotplug", "wiring-page", "real-hardware"]
    marks = {"done": "✓", "open": "not yet", "exempt": "–"}
    rows = [
        [
            f"`{about['address'].partition('?')[0].partition('[')[0]}`",
            about["cards"].partition(", `w")[0],
            f"`{about['extra']}`" if about["extra"] else "–",
            *(marks[states[name, rule]] for rule in rules),
        ]
        for name, about in found["driver"].items()
    ]
    return head, rows


def _cell(one: Standing) -> str:
    return f"[done](../../{one.said.partition('::')[0]})" if one.state == "done" else one.state
