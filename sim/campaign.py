"""A campaign's command line: its stories told one after the other, a line of figures each, the whole as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from protocol.errors import NeedsHands

Figures = dict[str, float]
Told = Callable[[str, Path, int, int], tuple[Figures, list[str]]]
"""Tells one story in an empty folder, with a seed and a count: its figures, and what went wrong. Raises NeedsHands."""
SHOWN_MAX = 20


class StorySkipped(NeedsHands):
    """This machine can't give what a story needs; it counts neither as kept nor as broken."""

    code = "story-skipped"
    hint = "Run it as root on Linux, with gcc installed."


def run_campaign(name: str, about: str, stories: Sequence[str], sizes: dict[str, int], tell: Told) -> int:
    """Read the command line and run; 0 when the promise was kept, 1 when not (argparse: 2 on bad usage)."""
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=about)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", default="small", help=f"{', '.join(sizes)} or a count (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=stories, metavar="STORY", help="this story; repeatable")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and problems there")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this folder and leave it")
    asked = parser.parse_args()
    if asked.size not in sizes and not (asked.size.isdigit() and int(asked.size) > 0):
        parser.error(f"--size {asked.size} is none of {', '.join(sizes)}, and no count")
    count = sizes[asked.size] if asked.size in sizes else int(asked.size)
    began_s = time.monotonic()
    figures: Figures = {}
    problems: list[str] = []
    for story in asked.only or stories:
        found, wrong = _tell(story, asked.seed, count, asked.keep, tell)
        figures |= {f"{story} {key}": value for key, value in found.items()}
        problems += [f"{story}: {text}" for text in wrong]
    kept = not problems
    if asked.json is not None:
        said = {
            "name": name,
            "seed": asked.seed,
            "seconds": round(time.monotonic() - began_s, 1),
            "kept": kept,
            "figures": figures,
            "problems": problems,
        }
        asked.json.write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return 0 if kept else 1


Stories = Mapping[str, Callable[[Path, int, int], tuple[Figures, list[str]]]]
"""Name -> what tells it, in an empty folder, with a seed and a count."""


def run_stories(name: str, about: str, stories: Stories, sizes: dict[str, int]) -> int:
    """`run_campaign` of stories that stand in a table."""
    return run_campaign(
        name, about, list(stories), sizes, lambda story, folder, seed, count: stories[story](folder, seed, count)
    )


def _tell(story: str, seed: int, count: int, keep: Path | None, tell: Told) -> tuple[Figures, list[str]]:
    began_s = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="k12edge-story-") as made:
            folder = Path(made) if keep is None else keep.absolute() / story
            folder.mkdir(parents=True, exist_ok=True)
            figures, problems = tell(story, folder, seed, count)
    except StorySkipped as problem:
        print(f"{story}: skipped: {problem}", flush=True)
        return {"skipped": 1}, []
    except NeedsHands as problem:
        figures, problems = {}, [str(problem)]
    text = ", ".join(f"{value} {key}" for key, value in figures.items())
    took_s = time.monotonic() - began_s
    print(f"{story}: {'kept' if not problems else 'BROKEN'}; {text}; {took_s:.1f} s", flush=True)
    for wrong in problems[:SHOWN_MAX]:
        print(f"  {wrong}", file=sys.stderr, flush=True)
    return figures, problems
