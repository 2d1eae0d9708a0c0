"""A hub on files that lie broken and on storage that fails, with a gateway that taps and a city: all arrives once."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from sim.campaign import Figures
from sim.parts import PartFailed, until
from sim.preload.control import ATTRIBUTE, SYNC, TRUNCATE, WRITE, Control, build
from sim.road import Road
from sim.stores.damage import KINDS, Damage, spoil
from sim.stores.gate import card

LEDGER: Final = "ledger.db"
FILES: Final = (LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm", "lock", "keys-copy.json", "broker", "hub.sock")
Told = tuple[Figures, list[str]]


class HubStory:
    """A road whose hub is shimmed, and one gateway whose reader shows cards as long as it runs."""

    def __init__(self, folder: Path, *, cards: int, tick_ms: int = 40) -> None:
        """Start all; returns when the first taps are at the city. Raises PartFailed."""
        folder.mkdir(parents=True, exist_ok=True)
        self.road = Road(folder)
        self.control = Control(folder / "shim", build(folder))
        self.road.hub.environment = self.control.environment()
        self._replay = folder / "replay.txt"
        self.data = folder / "hub"
        self.cards, self._next = cards, 0
        self._replay.write_text("", encoding="ascii")
        self.road.add_gateway("cong", {"cong": ("gate", f"replay:{self._replay}")})
        self.road.city.start(wait=False)
        self.road.hub.start()
        self.road.accept()
        self.tap(cards, tick_ms)
        until(self._arriving, "nothing arrives at the city", also=self.road.check, within_s=90)

    def tap(self, cards: int, tick_ms: int = 40) -> None:
        """Start the gateway anew with so many new cards before its reader."""
        gateway = self.road.gateways["cong"]
        gateway.stop()
        names = [card(self._next + number) for number in range(cards)]
        self._next += cards
        self._replay.write_text("".join(f"{tick_ms} {name} 20\n" for name in names), encoding="ascii")
        self._answered = self.road.answered("cong")
        gateway.start()

    def _arriving(self) -> bool:
        state = self.road.status()
        return state is not None and state["records"] > 3 and state["city"]["backlog"] < state["records"]

    def tapped(self) -> bool:
        """Whether everybody since the last `tap` was answered."""
        return self.road.answered("cong") >= self._answered + self.cards

    def finish(self, problems: list[str]) -> Figures:
        """Wait until all arrived, hold it against each other, end everything. Raises PartFailed."""
        until(self.tapped, "not everybody was answered", also=self.road.check, moving=self.road.progress)
        try:
            until(
                self.road.drained,
                "not everything arrived",
                also=self.road.check,
                within_s=90,
                moving=self.road.progress,
            )
        except PartFailed as problem:
            raise PartFailed(f"{problem}: {self.road.status()}") from None
        found = self.road.reckon(1)
        if not found.kept:
            problems.append(str(found)[:600])
        problems += [f"{name} ended with {code}" for name, code in self.road.stop().items() if code]
        return {"signals": found.signals, "hub": found.hub, "city": found.city or 0}

    def end(self) -> None:
        """Leave nothing running."""
        self.road.stop()


def _told(folder: Path, count: int, story: Callable[[HubStory, list[str]], Figures], cards: int = 60) -> Told:
    problems: list[str] = []
    made = HubStory(folder, cards=cards)
    try:
        figures = story(made, problems)
        return {**figures, **made.finish(problems)}, problems
    finally:
        made.end()


def hub_boots(folder: Path, seed: int, count: int) -> Told:
    """Its files are damaged while it doesn't run, again and again: it serves again, the same hub, and is filled."""

    def story(made: HubStory, problems: list[str]) -> Figures:
        rng, slowest_s, aside = Random(seed), 0.0, 0
        until(made.road.drained, "not everything arrived", also=made.road.check, moving=made.road.progress, within_s=90)
        who = made.road.command("keys", "show")
        until((made.data / "keys-copy.json").exists, "no copy of the keys is made")
        for number in range(count):
            if rng.random() < 0.5:
                made.road.hub.kill()
            else:
                made.road.hub.stop()
            done = _damage(made.data, rng)
            made.cards = 6
            made.tap(made.cards)
            began_s = time.monotonic()
            try:
                made.road.hub.start()
                slowest_s = max(slowest_s, time.monotonic() - began_s)
                until(
                    made.road.drained,
                    f"after {done} not everything arrived",
                    also=made.road.check,
                    moving=made.road.progress,
                    within_s=90,
                )
            except PartFailed as problem:
                raise PartFailed(f"damage {number}, {done}: {problem}; {made.road.status()}") from None
            if made.road.command("keys", "show") != who:
                problems.append(f"damage {number}, {done}: it is another hub now")
            aside += _aside(made, done, number, problems)
        return {"damages": count, "set_aside": aside, "slowest_s": round(slowest_s, 2)}

    return _told(folder, count, story, cards=30)


def _aside(made: HubStory, done: Damage, number: int, problems: list[str]) -> int:
    aside = [path for path in made.data.iterdir() if path.name.startswith(("ledger-damaged-", "no-file-"))]
    ledger = any(LEDGER in path.name or "ledger-damaged" in path.name for path in aside)
    alarms = {alarm["code"] for alarm in made.road.status()["alarms"]}
    if ledger and "ledger-damaged" not in alarms:
        problems.append(f"damage {number}, {done}: set aside without an alarm")
    if not aside and done.kind in ("garbage", "folder") and done.file == LEDGER:
        problems.append(f"damage {number}, {done}: nothing was set aside")
    for path in aside:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return len(aside)


def _damage(data: Path, rng: Random) -> Damage:
    path = data / rng.choice([name for name in FILES if (data / name).exists() or name == "hub.sock"])
    kind = rng.choice(KINDS)
    if path.name == "broker":
        # A file of its store, or all of it.
        inside = sorted(one for one in path.rglob("*") if one.is_file())
        return spoil(rng.choice(inside), kind, rng)
    if path.name == "hub.sock":
        path.unlink(missing_ok=True)
        path.mkdir()
        return Damage(path.name, "folder", ())
    return spoil(path, kind, rng)


def hub_failing_once(folder: Path, seed: int, count: int) -> Told:
    """EIO or no space once, at some sync, write or cut of the ledger or its log: only what is there is receipted."""

    def story(made: HubStory, problems: list[str]) -> Figures:
        rng, struck = Random(seed), 0
        for number in range(count):
            calls, error = rng.choice(
                (
                    (SYNC, errno.EIO),
                    (SYNC, errno.EIO),
                    (WRITE, errno.EIO),
                    (WRITE, errno.ENOSPC),
                    (TRUNCATE, errno.EIO),
                    (ATTRIBUTE, errno.EROFS),
                )
            )
            made.control.rule(0, calls, LEDGER, skip=rng.randrange(4), times=1, error=error)
            if calls != TRUNCATE:
                until(
                    partial(_hit, made),
                    f"fault {number} doesn't strike",
                    also=made.road.check,
                    moving=made.road.progress,
                )
            struck += made.control.hits(0)
        made.control.no_rule(0)
        return {"faults": struck}

    return _told(folder, count, story, cards=60 + 30 * count)


def _hit(made: HubStory) -> bool:
    return made.control.hits(0) > 0


def hub_read_only(folder: Path, seed: int, count: int) -> Told:
    """Its file system turns read-only under it, also over a restart, and back: it says so, then goes on by itself."""

    def story(made: HubStory, problems: list[str]) -> Figures:
        told = 0
        for again in (False, True):
            made.control.read_only(0, f"{made.data}/")
            made.cards = 20
            made.tap(20)
            if again:
                made.road.hub.kill()
                made.road.hub.start(wait=False)
            until(partial(_says_so, made), "it doesn't tell of its disk", within_s=90)
            told += 1
            until(made.tapped, "not everybody was answered", also=made.road.gateways["cong"].check)
            made.control.no_rule(0)
            until(
                made.road.drained,
                "not everything arrived",
                also=made.road.check,
                moving=made.road.progress,
                within_s=90,
            )
        return {"told": told}

    return _told(folder, count, story, cards=20)


def _says_so(made: HubStory) -> bool:
    made.road.hub.check()
    state: Any = made.road.status()
    log = (made.road.folder / "hub.log").read_text(encoding="utf-8", errors="replace")
    return bool(state is not None and state["troubles"].get("ledger")) or "ledger-failed" in log


def hub_slow(folder: Path, seed: int, count: int) -> Told:
    """Its syncs take up to 5 s: taps are signalled all the same, and all arrives."""

    def story(made: HubStory, problems: list[str]) -> Figures:
        rng = Random(seed)
        for delay_s in (0.5, 2.0, *([5.0] if count > 8 else [])):
            made.control.rule(0, SYNC, LEDGER, skip=rng.randrange(3), times=2, delay_s=delay_s)
            until(partial(_hit, made), "no sync is slow", also=made.road.check, moving=made.road.progress)
        return {}

    return _told(folder, count, story, cards=100)
