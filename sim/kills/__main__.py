"""Kills, stops and the network's faults on real processes: one story, the campaign if none is named.

`all`: all of them but the lunch, which takes as long as a lunch takes.

Exit 0 when the promise was kept, 1 when not, 2 on bad usage.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from protocol.errors import NeedsHands
from sim.kills.backlog import backlog
from sim.kills.campaign import BrokerKind, campaign
from sim.kills.echoes import echoes
from sim.kills.lunch import lunch
from sim.kills.outcome import Outcome
from sim.kills.refusing import queue_limit, silent_permission
from sim.kills.thinline import thin_line
from sim.kills.together import together
from sim.wire.line import Terms
from sim.wire.segment import apart

Run = Callable[[Path], Outcome]


class Story(NamedTuple):
    """A story's runs, made from what was asked; `apart`: it needs a namespace of its own for its wires."""

    runs: Callable[[argparse.Namespace], list[Run]]
    apart: Callable[[argparse.Namespace], bool] = lambda _: False


def _brokers(asked: argparse.Namespace) -> list[BrokerKind]:
    return [asked.broker] if asked.broker else ["embedded", "mosquitto"]


def _campaign(asked: argparse.Namespace) -> list[Run]:
    full = asked.size == "full"
    kills = asked.kills or (300 if full else 45)
    pupils = asked.pupils or (1763 if full else 1050)
    return [
        lambda folder, broker=broker: campaign(  # type: ignore[misc]
            folder, asked.seed, broker, kills, pupils, stops=asked.stops, lossy=asked.links == "lossy"
        )
        for broker in _brokers(asked)
    ]


def _thin_line(asked: argparse.Namespace) -> list[Run]:
    days, taps, live = (30, 3_000, 20) if asked.size == "full" else (2, 150, 2)
    terms = Terms(delay_ms=asked.delay, loss=asked.loss, rate_kbit=asked.kbit)
    return [lambda folder: thin_line(folder, seed=asked.seed, days=days, taps_a_day=taps, live=live, terms=terms)]


def _backlog(asked: argparse.Namespace) -> list[Run]:
    taps, kills = (100_000, 20) if asked.size == "full" else (6_000, 4)
    return [
        lambda folder, broker=broker: backlog(  # type: ignore[misc]
            folder, seed=asked.seed, broker=broker, taps=taps, kills=asked.kills or kills
        )
        for broker in _brokers(asked)
    ]


def _together(asked: argparse.Namespace) -> list[Run]:
    gateways, owed, live = (20, 2_000, 40) if asked.size == "full" else (6, 300, 3)
    return [lambda folder: together(folder, seed=asked.seed, gateways=gateways, backlog=owed, live=live)]


def _silent_permission(asked: argparse.Namespace) -> list[Run]:
    return [lambda folder: silent_permission(folder, seed=asked.seed, taps=500)]


def _queue_limit(asked: argparse.Namespace) -> list[Run]:
    taps, stills = (20_000, 10) if asked.size == "full" else (2_000, 2)
    return [lambda folder: queue_limit(folder, seed=asked.seed, taps=taps, stills=stills)]


def _echoes(asked: argparse.Namespace) -> list[Run]:
    taps, times = (2_000, 3_000) if asked.size == "full" else (300, 300)
    return [
        lambda folder, broker=broker: echoes(  # type: ignore[misc]
            folder, seed=asked.seed, broker=broker, taps=taps, echoes=times
        )
        for broker in _brokers(asked)
    ]


def _lunch(asked: argparse.Namespace) -> list[Run]:
    full = asked.size == "full"
    gaps = {"embedded": LUNCH_GAP_S, "mosquitto": LUNCH_GAP_S / 10} if full else {}
    return [
        lambda folder, broker=broker: lunch(  # type: ignore[misc]
            folder,
            seed=asked.seed,
            broker=broker,
            pupils=asked.pupils or (900 if full else 160),
            gap_s=gaps.get(broker, 0.02),
        )
        for broker in _brokers(asked)
    ]


STORIES: Final = {
    "campaign": Story(_campaign, lambda asked: asked.links == "lossy"),
    "backlog": Story(_backlog),
    "thin-line": Story(_thin_line, lambda _: True),
    "together": Story(_together),
    "silent-permission": Story(_silent_permission),
    "queue-limit": Story(_queue_limit),
    "echoes": Story(_echoes),
    "lunch": Story(_lunch),
}
LUNCH_GAP_S: Final = 8.0
"""Between two pupils of a counter: 900 of them eat within half an hour. Over the second broker it is ten times as fast.
"""


def parsed(words: Sequence[str]) -> argparse.Namespace:
    """The command line. Raises SystemExit(2) on bad usage."""
    parser = argparse.ArgumentParser(prog="python -m sim.kills", description=__doc__)
    parser.add_argument("story", nargs="?", default="campaign", choices=[*STORIES, "all"], help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", choices=("small", "full"), default="small", help="default: %(default)s")
    parser.add_argument("--broker", choices=("embedded", "mosquitto"), help="one of the two instead of both")
    parser.add_argument("--kills", type=int, help="strikes of a campaign, some of which hit several parts")
    parser.add_argument("--pupils", type=int, help="of a campaign, where each taps twice, or of a lunch")
    parser.add_argument(
        "--links", choices=("clean", "lossy"), default="clean", help="of a campaign: wires with weather"
    )
    parser.add_argument("--stops", action="store_true", help="parts are held still too (SIGSTOP), for up to 40 s")
    parser.add_argument("--loss", type=float, default=0.01, help="of the thin line, a share (default: %(default)s)")
    parser.add_argument("--kbit", type=int, default=256, help="of the thin line, a second (default: %(default)s)")
    parser.add_argument("--delay", type=int, default=30, help="of the thin line, one way, in ms (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the outcome to this file")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it")
    asked = parser.parse_args(words)
    if not 0 <= asked.loss < 1 or asked.kbit < 1 or (asked.kills or 0) < 0 or (asked.pupils or 1) < 1:
        parser.error("--loss is a share below 1; --kbit and --pupils begin at 1, --kills at 0")
    return asked


def main() -> int:
    """What was asked, one line a story."""
    asked = parsed(sys.argv[1:])
    chosen = [name for name in STORIES if name != "lunch"] if asked.story == "all" else [asked.story]
    outcomes: list[Outcome] = []
    problems: list[str] = []
    if any(STORIES[name].apart(asked) for name in chosen):
        try:
            apart("sim.kills", sys.argv[1:])
        except NeedsHands as problem:
            print(problem, file=sys.stderr)
            return 1
    # Ended from outside, the parts must not go on without us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name in chosen:
        for number, run in enumerate(STORIES[name].runs(asked)):
            try:
                with tempfile.TemporaryDirectory(prefix="k12edge-kills-") as made:
                    folder = Path(made) if asked.keep is None else asked.keep.absolute() / f"{name}-{number}"
                    folder.mkdir(parents=True, exist_ok=True)
                    # Started by root, mosquitto may go on as a user of its own.
                    folder.chmod(0o755)
                    outcomes.append(run(folder))
            except NeedsHands as problem:
                problems.append(f"{name}: {problem}")
                print(f"{name}: {problem}", file=sys.stderr, flush=True)
                continue
            print(outcomes[-1], flush=True)
            for line in outcomes[-1].problems:
                print(f"  {line}", flush=True)
    kept = not problems and all(outcome.kept for outcome in outcomes)
    if asked.json is not None:
        asked.json.write_text(json.dumps(_as_json(asked, outcomes, problems, kept), indent=1) + os.linesep)
    return 0 if kept else 1


def _as_json(asked: argparse.Namespace, outcomes: list[Outcome], problems: list[str], kept: bool) -> dict[str, object]:
    figures = {f"{outcome.name}: {name}": value for outcome in outcomes for name, value in outcome.figures.items()}
    return {
        "name": f"kills {asked.story}",
        "seed": asked.seed,
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
        "kept": kept,
        "figures": figures,
        "problems": [*problems, *(problem for outcome in outcomes for problem in outcome.problems)],
    }


if __name__ == "__main__":
    sys.exit(main())
