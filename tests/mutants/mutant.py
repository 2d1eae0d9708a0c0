"""A mutant: one promise-bearing line removed or weakened, what that breaks in words, and the tests that turn red."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LISTS = tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.toml")))


@dataclass(frozen=True)
class Edit:
    """In `file` the fragment `old`, that stands there once, becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    name: str
    breaks: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def listed() -> list[Mutant]:
    """Every mutant of the lists, in their order."""
    found = []
    for name in LISTS:
        text = (Path(__file__).with_name(f"{name}.toml")).read_text(encoding="utf-8")
        found += [_mutant(entry) for entry in tomllib.loads(text)["mutant"]]
    return found


def _mutant(entry: dict[str, Any]) -> Mutant:
    edits = [Edit(entry["file"], entry["old"], entry["new"])]
    edits += [Edit(more.get("file", entry["file"]), more["old"], more["new"]) for more in entry.get("also", ())]
    return Mutant(entry["name"], entry["breaks"], tuple(edits), tuple(entry["tests"]))


def faults(mutant: Mutant, root: Path = ROOT) -> list[str]:
    """What keeps a mutant from being one: a fragment that isn't there once, no change, no test by that name."""
    found = []
    for edit in mutant.edits:
        times = (root / edit.file).read_text(encoding="utf-8").count(edit.old)
        if times != 1:
            found.append(f"{mutant.name}: its fragment stands {times} times in {edit.file}:\n{edit.old}")
        if edit.old == edit.new:
            found.append(f"{mutant.name}: it changes nothing")
    if not mutant.tests:
        found.append(f"{mutant.name}: no test is named")
    for test in mutant.tests:
        file, _, name = test.partition("::")
        name = name.partition("[")[0]
        path = root / file
        if not path.is_file() or (name and f"def {name}(" not in path.read_text(encoding="utf-8")):
            found.append(f"{mutant.name}: there is no test {test}")
    return found


def apply(mutant: Mutant, tree: Path) -> dict[Path, str]:
    """Make the edits in a copy of the tree; the texts as they were."""
    before: dict[Path, str] = {}
    for edit in mutant.edits:
        path = tree / edit.file
        text = path.read_text(encoding="utf-8")
        before.setdefault(path, text)
        path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")
    return before
