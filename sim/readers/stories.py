"""Readers unplugged again and again, gateways killed in the middle of a look: every tap that was read is one record."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from sim.campaign import Figures
from sim.parts import Part, PartFailed
from sim.preload.control import INPUT, build
from sim.readers.boards import Board, boards
from sim.road import Road

EVERY_S: Final = 4.0
"""From one pull of a plug to the next, in campaign size."""
EVERY_BRIEF_S: Final = 1.0
FULL: Final = 100
"""From so many cycles on they are EVERY_S long."""
READ_S: Final = 10.0
"""A tap before an open reader is a record within a second; so long on a machine that others want."""
SETTLE_S: Final = 0.6
"""Longer than presence takes for a flicker: what would be told twice has been by then."""
AGAIN_S: Final = 5.0
"""After a kill -9 a gateway reads again within this."""
TORN: Final = 0.25
"""The share of pulls that hit a tap under way."""
LEFT: Final = 0.25
"""The share of pulls through which a card is left lying, at readers that tell how long one lies there."""
AGAIN: Final = 0.4
"""The share of whole taps after which the same card comes again."""
GONE_S: Final = 0.9
"""A card taken away for so long has left (half a second, of looks), on a machine that others want, too."""
HELD_OVER_S: Final = 2.8
"""The same behind a pull, where a card has two seconds to be seen again."""


@dataclass(slots=True)
class Handled:
    """What happened to one reader: pulls; taps that had to be answered, of those the same card `again`, those `left`
    lying through a pull; taps that a pull met, of those the surely handed over and the answered; what went wrong.
    """

    pulls: int = 0
    owed: int = 0
    again: int = 0
    left: int = 0
    torn: int = 0
    torn_owed: int = 0
    torn_read: int = 0
    slowest_s: float = 0.0
    problems: list[str] = field(default_factory=list)


class Gate:
    """One gateway with a station for each reader, heard by nobody; what it signals is what it recorded."""

    def __init__(self, folder: Path, readers: dict[str, Board]) -> None:
        """Not started."""
        self._road = Road(folder, with_city=False)
        stations = {name: ("gate", board.url) for name, board in readers.items()}
        self.part: Part = self._road.add_gateway("g", stations, repeat_window_s=0)
        self.part.environment = {**os.environ, "LD_PRELOAD": str(build(folder, INPUT))}
        self._signals = self._road.signals_of("g")
        self.data = folder / "g"

    def taps(self, station: str) -> list[str]:
        """The cards that a station answered, in order."""
        if not self._signals.exists():
            return []
        lines = self._signals.read_text(encoding="utf-8").split("\n")[:-1]
        found = [json.loads(line) for line in lines]
        return [tap["card"] for tap in found if tap["station"] == station and tap["tap"] is not None]

    def await_tap(self, station: str, count: int) -> float:
        """Wait for the `count`-th answer of a station; how long it took. Raises PartFailed."""
        began_s = time.monotonic()
        while len(self.taps(station)) < count:
            self.part.check()
            if time.monotonic() - began_s > READ_S:
                raise PartFailed(f"{station}: tap {count} isn't answered within {READ_S:g} s")
            time.sleep(0.01)
        return time.monotonic() - began_s

    def used(self) -> tuple[int, int]:
        """Descriptors and threads of the gateway."""
        assert self.part.process is not None
        process = Path(f"/proc/{self.part.process.pid}")
        return len(os.listdir(process / "fd")), len(os.listdir(process / "task"))


def unplugged(folder: Path, seed: int, count: int) -> tuple[Figures, list[str]]:
    """Every reader pulled out `count` times, each on its own clock, with a card before it or without."""
    every_s = EVERY_S if count >= FULL else EVERY_BRIEF_S
    with boards(folder) as readers:
        gate = Gate(folder, readers)
        gate.part.start()
        try:
            for name, board in readers.items():
                board.await_open()
                board.show(_uid(name, 0))
                gate.await_tap(name, 1)
                board.take()
            before = gate.used()

            def handle(name: str, board: Board, rng: Random) -> Handled:
                return _handled(gate, name, board, rng, count, every_s)

            told = _all_at_once(readers, seed, handle)
            time.sleep(SETTLE_S)
            after = gate.used()
        finally:
            gate.part.stop()
    problems = [problem for handled in told.values() for problem in handled.problems]
    if after[0] > before[0] or after[1] > before[1]:
        problems.append(f"{before[0]} descriptors and {before[1]} threads became {after[0]} and {after[1]}")
    figures: Figures = {"descriptors": after[0], "descriptors before": before[0], "threads": after[1]}
    for name, handled in told.items():
        figures |= {f"{name} pulls": handled.pulls, f"{name} taps owed": handled.owed}
        figures |= {f"{name} again": handled.again, f"{name} left lying": handled.left}
        figures |= {f"{name} torn": handled.torn, f"{name} torn owed": handled.torn_owed}
        figures |= {f"{name} torn read": handled.torn_read}
        figures |= {f"{name} slowest s": round(handled.slowest_s, 2)}
    return figures, problems


def _all_at_once(
    readers: dict[str, Board], seed: int, handle: Callable[[str, Board, Random], Handled]
) -> dict[str, Handled]:
    told: dict[str, Handled] = {}

    def work(name: str, board: Board) -> None:
        try:
            told[name] = handle(name, board, Random(f"{seed} {name}"))
        except Exception as problem:
            told[name] = Handled(problems=[f"{name}: {type(problem).__name__}: {problem}"])

    threads = [threading.Thread(target=work, args=item) for item in readers.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return told


class Handler:
    """One reader under a person's hands, plugged in: taps, pulls, and what the gateway answered to each."""

    def __init__(self, gate: Gate, name: str, board: Board, rng: Random) -> None:
        """Nothing was done yet."""
        self._gate, self._name, self._board, self._rng = gate, name, board, rng
        self.told = Handled()
        self._number = 0

    def cycle(self, every_s: float) -> None:
        """A tap or two and a pull, of one of three kinds, and the reader back in its place."""
        board, rng = self._board, self._rng
        began_s = time.monotonic()
        self._number += 1
        board.await_open()
        chance = rng.random()
        if chance < TORN:
            self._torn()
        elif chance < TORN + LEFT and board.stays:
            self._left()
        else:
            self._whole(again=rng.random() < AGAIN)
            time.sleep(max(0.0, rng.uniform(0.0, 0.3), began_s + every_s - time.monotonic()))
            board.unplug()
            self._away()
        self.told.pulls += 1

    def _away(self) -> None:
        time.sleep(self._rng.uniform(0.02, 0.2))
        self._board.plug()

    def _answered(self) -> int:
        return len(self._gate.taps(self._name))

    def _tap(self) -> None:
        """Hold this cycle's card to the open reader until it is answered."""
        answered = self._answered()
        self._board.show(_uid(self._name, self._number))
        self.told.owed += 1
        self.told.slowest_s = max(self.told.slowest_s, self._gate.await_tap(self._name, answered + 1))

    def _must_be(self, count: int, what: str) -> None:
        """Nothing more was answered than `count`, also a moment later."""
        time.sleep(SETTLE_S)
        if self._answered() != count:
            self.told.problems.append(f"{self._name}: {what}: {self._answered()} answers, not {count}")

    def _whole(self, *, again: bool) -> None:
        """A tap; and `again` the same card, taken away for longer than a flicker."""
        answered = self._answered()
        self._tap()
        self._board.take()
        if again:
            time.sleep(GONE_S)
            self._tap()
            self._board.take()
            self.told.again += 1
        self._must_be(answered + 1 + again, f"tap {self._number}")

    def _left(self) -> None:
        """A card that lies there through a pull is the same tap; taken away and held to it again it is another one."""
        answered = self._answered()
        self._tap()
        self._board.unplug()
        self._away()
        self._board.await_open()
        self._must_be(answered + 1, f"card {self._number}, left lying through a pull")
        self._board.take()
        time.sleep(HELD_OVER_S)
        self._tap()
        self._board.take()
        self._must_be(answered + 2, f"card {self._number}, back after it had left")
        self.told.left += 1
        self._board.unplug()
        self._away()

    def _torn(self) -> None:
        """A pull in the middle of a tap: one answer, or none where the gateway didn't have it yet."""
        answered = self._answered()
        self._board.show(_uid(self._name, self._number))
        time.sleep(self._rng.uniform(0.0, 0.15))
        handed_over = self._board.handed_over()
        self._board.unplug()
        self._board.take()
        time.sleep(SETTLE_S)
        read = self._answered() - answered
        self.told.torn += 1
        self.told.torn_read += read
        self.told.torn_owed += handed_over
        if read > 1 or read < handed_over:
            had = "handed over" if handed_over else "perhaps handed over"
            self.told.problems.append(f"{self._name}: tap {self._number}, {had} before the pull, has {read} answers")
        self._board.plug()


def _handled(gate: Gate, name: str, board: Board, rng: Random, count: int, every_s: float) -> Handled:
    """One reader, plugged in, pulled `count` times and tapped once more at the end."""
    handler = Handler(gate, name, board, rng)
    for _ in range(count):
        handler.cycle(every_s)
    board.await_open()
    answered = len(gate.taps(name))
    board.show(_uid(name, count + 1))
    gate.await_tap(name, answered + 1)
    board.take()
    return handler.told


def killed(folder: Path, seed: int, count: int) -> tuple[Figures, list[str]]:
    """The gateway killed -9 while all its readers look: after each start all of them read again within AGAIN_S."""
    rng, problems, worst_s = Random(seed), list[str](), 0.0
    kills = max(3, count // 5)
    with boards(folder) as readers:
        gate = Gate(folder, readers)
        gate.part.start()
        try:
            for number in range(1, kills + 1):
                for board in readers.values():
                    board.await_open()
                time.sleep(rng.uniform(0.0, 0.5))
                gate.part.kill()
                answered = {name: len(gate.taps(name)) for name in readers}
                began_s = time.monotonic()
                gate.part.start()
                for name, board in readers.items():
                    board.await_open()
                    board.show(_uid(name, number))
                for name in readers:
                    gate.await_tap(name, answered[name] + 1)
                took_s = time.monotonic() - began_s
                worst_s = max(worst_s, took_s)
                if took_s > AGAIN_S:
                    problems.append(f"after kill {number} all readers read again only after {took_s:.1f} s")
                for board in readers.values():
                    board.take()
        finally:
            gate.part.stop()
    for name in readers:
        cards = gate.taps(name)
        problems += [f"{name}: a card has two records" for card in set(cards) if cards.count(card) > 1]
    return {"kills": kills, "slowest s": round(worst_s, 2)}, problems


def _uid(name: str, number: int) -> bytes:
    """Another card for each tap of each reader."""
    return bytes((4, sum(name.encode("ascii")) & 0xFF)) + number.to_bytes(5, "big")
