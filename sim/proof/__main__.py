"""`python -m sim.proof`: run the campaigns, keep what they found; exit 0 when every promise was kept in all of them."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from sim.proof.campaigns import CAMPAIGNS, CampaignPlan

ROOT: Final = Path(__file__).resolve().parents[2]


class Kept(msgspec.Struct, omit_defaults=True):
    """What is kept of a campaign: docs/proof/<name>.json."""

    name: str
    proves: str
    command: str
    date: str
    machine: str
    commit: str
    seed: int
    seconds: float
    kept: bool
    figures: dict[str, object]
    problems: list[str] = []


class Report(msgspec.Struct):
    """What a campaign's command writes."""

    seed: int
    seconds: float
    kept: bool
    figures: dict[str, object]
    problems: list[str] = []


def main() -> int:
    """Run them one after the other."""
    parser = argparse.ArgumentParser(prog="python -m sim.proof", description=__doc__.partition("\n")[0])
    names = [campaign.name for campaign in CAMPAIGNS]
    parser.add_argument("--only", choices=names, action="append", help="only this one; may be repeated")
    parser.add_argument("--size", choices=("small", "full"), default="full", help="default: %(default)s")
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "proof", help="default: docs/proof")
    parser.add_argument("--books", type=Path, metavar="DIR", help="there a long campaign notes how far it came")
    asked = parser.parse_args()
    for folder in filter(None, (asked.books, asked.into)):
        folder.mkdir(parents=True, exist_ok=True)
    broken = []
    for campaign in CAMPAIGNS:
        if asked.only is None or campaign.name in asked.only:
            words = campaign.full if asked.size == "full" else campaign.small
            print(f"== {campaign.name}: python -m {' '.join(words)}", flush=True)
            if not _run(campaign, words, asked.into, asked.books):
                broken.append(campaign.name)
    print(f"broken: {', '.join(broken)}" if broken else "every promise was kept")
    return 1 if broken else 0


def _run(campaign: CampaignPlan, words: tuple[str, ...], into: Path, books: Path | None) -> bool:
    """One campaign; whether it kept every promise."""
    going_on = ("--book", str(books / f"{campaign.name}.jsonl")) if books and campaign.books else ()
    with tempfile.TemporaryDirectory(prefix="k12edge-proof-") as folder:
        found = Path(folder) / "found.json"
        code = subprocess.run([sys.executable, "-m", *words, *going_on, "--json", str(found)], cwd=ROOT).returncode
        if not found.exists():
            print(f"{campaign.name} ended with {code} and told nothing", flush=True)
            return False
        report = msgspec.json.decode(found.read_bytes(), type=Report)
    kept = Kept(
        campaign.name,
        campaign.proves,
        f"python -m {' '.join(words)}",
        datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        machine(),
        _commit(),
        report.seed,
        report.seconds,
        report.kept and code == 0,
        report.figures,
        report.problems,
    )
    (into / f"{campaign.name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")
    return kept.kept


def machine() -> str:
    """Cores, processor, system: what a figure depends on."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return f"{os.cpu_count()} cores, {platform.machine()}, {system}, Python {platform.python_version()}"


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
