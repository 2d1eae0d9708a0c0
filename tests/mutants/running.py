"""Running mutants: each in a copy of the tree, only its own tests; red is what is wanted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant, apply

RED_S = 240
"""A test that hangs for so long counts as red; the slowest named one takes some ten seconds alone."""
PASSED, FAILED, CRASHED = 0, 1, -signal.SIGSEGV
"""pytest's exit codes, and a test that crashes the interpreter; any other one says that the tests couldn't be run."""


@dataclass(frozen=True)
class Ended:
    """How a run of tests ended: `red`, or why it is neither red nor green (`broken`), and what was printed."""

    red: bool
    broken: str | None
    seconds: float
    text: str

    @property
    def failing(self) -> list[str]:
        return [line.split(" ")[1] for line in self.text.splitlines() if line.startswith(("FAILED ", "ERROR "))]


@contextmanager
def copy_of_the_tree(place: Path) -> Iterator[Path]:
    """Every file that git knows or would take, below `place`; removed afterwards."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, names.decode().split("\0")):
        source, target = ROOT / name, place / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    # Some tests ask git which files there are.
    subprocess.run(["git", "init", "-q"], cwd=place, check=True)
    subprocess.run(["git", "add", "-A"], cwd=place, check=True)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def run_tests(tree: Path, tests: Sequence[str], *words: str) -> Ended:
    """Run tests of a copy, against the copy, also in the processes that they start."""
    scratch = tree.with_name(tree.name + "-tmp")
    scratch.mkdir(exist_ok=True)
    told = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    told |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(scratch)}
    begun_s = time.monotonic()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--tb=no",
            "-rfE",
            "--no-header",
            f"--timeout={RED_S // 4}",
            *words,
            *tests,
        ],
        cwd=tree,
        env=told,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=RED_S)
        red, broken = process.returncode in (FAILED, CRASHED), None
        if process.returncode not in (PASSED, FAILED, CRASHED):
            broken = f"pytest ended with {process.returncode}: {text[-400:]}"
    except subprocess.TimeoutExpired:
        text, red, broken = "", True, None
    finally:
        # What a failed test left running belongs to its session.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(scratch, ignore_errors=True)
    return Ended(red, broken, time.monotonic() - begun_s, text)


def try_mutant(tree: Path, mutant: Mutant, tests: Sequence[str], *words: str) -> Ended:
    """Run tests with the mutant in place; the copy is as before afterwards."""
    before = apply(mutant, tree)
    try:
        return run_tests(tree, tests, *words)
    finally:
        for path, text in before.items():
            path.write_text(text, encoding="utf-8")
