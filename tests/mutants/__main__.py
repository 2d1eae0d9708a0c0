"""Mutants: `python -m tests.mutants`; exit 0 when each of them turned a named test red.

A line of the promise is removed or weakened in a copy of the tree, one at a time; where no test turns red, a test is
missing. `--find NAME` runs a whole folder of tests against one mutant and names those that see it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from tests.mutants.mutant import Mutant, faults, listed
from tests.mutants.running import Ended, copy_of_the_tree, run_tests, try_mutant

GREEN_AT_ONCE = 40
"""Named tests run together, unmutated, to prove that they are green."""


class Campaign:
    """Mutants tried by so many threads, each on its own copy."""

    def __init__(self, mutants: Sequence[Mutant], jobs: int, *, find: str | None) -> None:
        self._find, self._jobs = find, jobs
        self._work: SimpleQueue[Mutant | list[str]] = SimpleQueue()
        self._lock = threading.Lock()
        self.problems: list[str] = []
        self.killed = 0
        if find is None:
            named = sorted({test for mutant in mutants for test in mutant.tests})
            for at in range(0, len(named), GREEN_AT_ONCE):
                self._work.put(named[at : at + GREEN_AT_ONCE])
        for mutant in mutants:
            self._work.put(mutant)

    def run(self) -> None:
        with tempfile.TemporaryDirectory(prefix="k12edge-mutants-") as folder:
            threads = [
                threading.Thread(target=self._serve, args=(Path(folder) / f"tree{n}",)) for n in range(self._jobs)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    def _serve(self, place: Path) -> None:
        with copy_of_the_tree(place) as tree:
            while True:
                try:
                    work = self._work.get_nowait()
                except Empty:
                    return
                if isinstance(work, Mutant):
                    self._judge(work, self._tried(tree, work))
                else:
                    self._prove_green(work, run_tests(tree, work))

    def _tried(self, tree: Path, mutant: Mutant) -> Ended:
        if self._find is not None:
            return try_mutant(tree, mutant, [self._find])
        return try_mutant(tree, mutant, mutant.tests, "-x")

    def _judge(self, mutant: Mutant, ended: Ended) -> None:
        with self._lock:
            if ended.broken is not None:
                self.problems.append(f"{mutant.name}: {ended.broken}")
            elif not ended.red:
                self.problems.append(f"{mutant.name} lives: {mutant.breaks}")
            else:
                self.killed += 1
            said = "NOT RUN" if ended.broken is not None else "RED" if ended.red else "LIVES"
            print(f"{said} {mutant.name} ({ended.seconds:.1f} s): {mutant.breaks}", flush=True)
            if self._find is not None:
                print("".join(f"  {test}\n" for test in ended.failing), end="", flush=True)

    def _prove_green(self, tests: list[str], ended: Ended) -> None:
        with self._lock:
            if ended.red or ended.broken is not None:
                self.problems.append(f"without a mutant: {ended.broken or ', '.join(ended.failing) or 'a hang'}")
            print(f"{len(tests)} named tests without a mutant: {'red' if ended.red else 'green'}", flush=True)


def main(words: list[str] | None = None) -> int:
    options = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    options.add_argument("--only", action="append", metavar="NAME", help="this mutant only; may be repeated")
    options.add_argument("--jobs", type=int, default=2, help="copies tried at once (default: %(default)s)")
    options.add_argument("--find", metavar="TESTS", help="run these tests instead of the named ones, and name the red")
    options.add_argument("--json", type=Path, metavar="FILE")
    asked = options.parse_args(words)
    mutants = [mutant for mutant in listed() if asked.only is None or mutant.name in asked.only]
    if asked.jobs < 1 or not mutants or (asked.only is not None and len(mutants) != len(set(asked.only))):
        options.error("--jobs begins at 1, and --only takes names of the lists")
    begun_s = time.monotonic()
    problems = [fault for mutant in mutants for fault in faults(mutant)]
    killed = 0
    if not problems or asked.find is not None:
        campaign = Campaign(mutants, asked.jobs, find=asked.find)
        campaign.run()
        problems, killed = campaign.problems, campaign.killed
    seconds = round(time.monotonic() - begun_s, 1)
    print(f"{len(mutants)} mutants, {killed} turned their tests red, {len(problems)} problems; {seconds} s")
    for problem in problems:
        print(f"  {problem}")
    if asked.json is not None:
        figures = {"mutants": len(mutants), "killed": killed, "tests": len({t for m in mutants for t in m.tests})}
        told = {"name": "mutants", "seed": 0, "seconds": seconds, "kept": not problems, "figures": figures}
        asked.json.write_text(json.dumps(told | {"problems": problems}, indent=1) + "\n", encoding="utf-8")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
