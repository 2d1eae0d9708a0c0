"""`python -m tests.browser`: the pages in a browser, by pairs; with `--all` every combination, for a campaign."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.browser.walking import every_row, in_order, some_rows, walker

PROBLEMS_TOLD = 50


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every role by page by width by look by language")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and problems there")
    arguments = parser.parse_args()
    rows = in_order(every_row()) if arguments.all else some_rows()
    began_s = time.monotonic()
    problems = []
    with tempfile.TemporaryDirectory() as folder, walker(Path(folder) / "hub") as chromium:
        for row in rows:
            for problem in chromium.visit(row):
                problems.append(f"{' '.join(row)}: {problem}")
                print(problems[-1], flush=True)
    seconds = time.monotonic() - began_s
    print(f"{len(rows)} pages looked at, {len(problems)} problems, {seconds:.0f} s")
    if arguments.json is not None:
        figures = {
            "pages looked at": len(rows),
            "pages": len({row[0] for row in rows}),
            "roles": len({row[1] for row in rows}),
            "problems": len(problems),
        }
        told = {"seed": 0, "seconds": seconds, "kept": not problems, "figures": figures}
        arguments.json.write_text(json.dumps({**told, "problems": problems[:PROBLEMS_TOLD]}), encoding="utf-8")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
