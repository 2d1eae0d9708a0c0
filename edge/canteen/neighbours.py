"""The neighbours: of each other counter what it told us, what it holds of ours, and whether it hears us now.

A counter is heard only while it answers: each word of ours has a number, each of theirs names the newest of ours that
it heard, and that word must be younger than HEARD_MS. A recording can't name it. In the same way a process of a
neighbour is believed to be its running one: the first word of it that counts is one that names a young word of ours.
From then on its servings are taken in their places, each once and in order; what is missing is told again until it is
held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from edge.canteen.telling import Telling
from protocol.served import Told, Word

HEARTBEAT_MS: Final = 500
"""A word is said so often, also where there is nothing to tell."""
HEARD_MS: Final = 3_000
"""A counter is heard while it named a word of ours younger than this: three lost heartbeats make no counter unheard."""
DIRECT_MS: Final = 2_000
"""Where a counter wasn't heard directly for this long all is said by the broker too, before it would be unheard."""
ANSWER_MS: Final = 30
"""What was heard is confirmed within this time, together with what else comes in it."""
RETELL_MS: Final = 200
"""What isn't confirmed is told again after this time, at a loss of 30 % five times within the second."""
AHEAD_MAX: Final = 32
"""Servings told to a counter beyond those that it confirmed; some pages, for one that comes back."""
WINDOW: Final = 64
"""Words may overtake each other by so many, and servings too: what comes before its turn is kept until then."""
PAST_RUNS_MAX: Final = 16
WORDS_KEPT_MAX: Final = 2_048
"""Words of ours whose time is known; answers are ANSWER_MS apart, so some 300 are said within HEARD_MS."""

Refusal = Literal["old", "past"]
"""Why a genuine word doesn't count: its number was heard already, or its process has ended."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What came of a word: `told`, new servings in order; `proven`: it named a young word of ours: no recording can.

    `twice`: the process that it is of was taken for ended, and goes on: two run with one key. `refused`: nothing in it
    counts, and why.
    """

    told: Sequence[Told] = ()
    proven: bool = False
    twice: bool = False
    refused: Refusal | None = None


@dataclass(slots=True, eq=False)
class _Process:
    """One process of a neighbour: `number`, its newest word; bit n of `seen` says that word `number` - n came.

    `place`: to where we hold its servings; `through`: its newest; `early`: what came before its turn, by place.
    """

    run: str
    number: int = 0
    seen: int = 0
    place: int = 0
    through: int = 0
    early: dict[int, Told] = field(default_factory=dict)

    def is_new(self, number: int) -> bool:
        """Note the word's number; False where it came already, or is too far behind to know."""
        ahead = number - self.number
        if ahead > 0:
            self.seen = (self.seen << min(ahead, WINDOW) | 1) & ((1 << WINDOW) - 1)
            self.number = number
            return True
        bit = 1 << -ahead if -ahead < WINDOW else 0
        if not bit or self.seen & bit:
            return False
        self.seen |= bit
        return True

    def take(self, word: Word) -> list[Told]:
        """Its servings whose turn it is now; and none twice."""
        self.through = max(self.through, word.through)
        self.place = max(self.place, word.forgotten)
        self.early |= {told.place: told for told in word.told if self.place < told.place <= self.place + WINDOW}
        fresh: list[Told] = []
        while (told := self.early.pop(self.place + 1, None)) is not None:
            self.place = told.place
            fresh.append(told)
        if self.early:
            self.early = {place: told for place, told in self.early.items() if place > self.place}
        return fresh


@dataclass(slots=True)
class _Neighbour:
    """`now`: its running process; `past`: ended ones, the newest last; `changed_at`: our newest word when that changed.

    `candidate`: run and newest word of a process that didn't prove itself yet. `holds`: to where it holds our servings;
    `told_to`: to where we told them, from `holds` on since `told_ms`. `heard_ms`: when we said the newest word that it
    named; `direct_ms`: that it named directly.
    """

    now: _Process | None = None
    past: deque[_Process] = field(default_factory=lambda: deque(maxlen=PAST_RUNS_MAX))
    changed_at: int = 0
    candidate: tuple[str, int] | None = None
    holds: int = 0
    told_to: int = 0
    told_ms: int | None = None
    heard_ms: int | None = None
    direct_ms: int | None = None


class Neighbours:
    """Pure; times are ms of CLOCK_BOOTTIME, passed in. `run` is this process's journal, `device` this gateway."""

    def __init__(self, device: str, run: str, telling: Telling) -> None:
        """No other counter is known."""
        self._device, self._run, self._telling = device, run, telling
        self._all: dict[str, _Neighbour] = {}
        self._number = 0
        self._said: deque[tuple[int, int]] = deque(maxlen=WORDS_KEPT_MAX)
        self._said_ms: int | None = None
        self._answer_ms: int | None = None
        self._came_by_broker = False

    def know(self, devices: Iterable[str]) -> None:
        """These are the other counters from now on; what was known of others is forgotten."""
        wanted = set(devices) - {self._device}
        if wanted != self._all.keys():
            self._all = {device: self._all.get(device) or _Neighbour() for device in sorted(wanted)}

    # --- hearing ------------------------------------------------------------------------------------------------

    def hear(self, device: str, word: Word, now_ms: int, *, direct: bool) -> Hearing:
        """Take a word that is proven to be `device`'s, one of those known; `direct`: it came by no broker."""
        found = self._all[device]
        # Had it come directly as well, it would have come so before, and this were a copy: the answer takes its way.
        self._came_by_broker |= not direct
        mine = word.heard.get(self._device)
        mine = mine if mine is not None and mine[0] == self._run else None
        named_ms = None if mine is None else self._when(mine[1], now_ms)
        current, twice = found.now, False
        if current is None or word.run != current.run:
            known = next((one for one in found.past if one.run == word.run), None)
            # What it heard before the last change may come late; what we said since, an ended process can't have heard.
            if mine is None or named_ms is None or mine[1] <= found.changed_at:
                return self._meet(found, word, now_ms) if known is None else Hearing(refused="past")
            current, twice = known or _Process(word.run), known is not None
            self._change(found, current)
        newest = word.number > current.number
        if not current.is_new(word.number):
            return Hearing(refused="old")
        if named_ms is not None:
            found.heard_ms = max(named_ms, found.heard_ms or 0)
            if direct:
                found.direct_ms = max(named_ms, found.direct_ms or 0)
        if newest and mine is not None:
            self._confirmed(found, mine[2], now_ms)
        place = current.place
        fresh = current.take(word)
        if current.place != place:
            self._answer_by(now_ms + ANSWER_MS)
        elif word.told or current.place < current.through:
            # It doesn't know what we hold, or told another: not each time, or two would go on confirming.
            self._answer_by(max(now_ms + ANSWER_MS, (self._said_ms or 0) + RETELL_MS))
        return Hearing(fresh, named_ms is not None, twice)

    def _when(self, number: int, now_ms: int) -> int | None:
        """When we said this word, if that is less than HEARD_MS ago."""
        self._forget_words(now_ms)
        if not self._said or not self._said[0][0] <= number <= self._number:
            return None
        return self._said[number - self._said[0][0]][1]

    def _forget_words(self, now_ms: int) -> None:
        while self._said and now_ms - self._said[0][1] >= HEARD_MS:
            self._said.popleft()

    def _meet(self, found: _Neighbour, word: Word, now_ms: int) -> Hearing:
        """A process that may be the running one: what it says counts once it has named our answer."""
        known = found.candidate
        if known is not None and known[0] == word.run and word.number <= known[1]:
            return Hearing(refused="old")
        found.candidate = word.run, word.number
        self._answer_by(now_ms + ANSWER_MS)
        return Hearing()

    def _change(self, found: _Neighbour, process: _Process) -> None:
        """Another process of it runs now; of ours it holds what it says."""
        if found.now is not None:
            found.past.append(found.now)
        if process in found.past:
            found.past.remove(process)
        found.now, found.changed_at, found.candidate = process, self._number, None
        found.holds = found.told_to = 0
        found.told_ms = None

    def _confirmed(self, found: _Neighbour, place: int, now_ms: int) -> None:
        place = max(self._telling.forgotten, min(place, self._telling.through))
        if place == found.holds:
            return
        found.holds = place
        found.told_to = max(found.told_to, place)
        found.told_ms = now_ms if found.told_to > place else None

    def _answer_by(self, due_ms: int) -> None:
        self._answer_ms = due_ms if self._answer_ms is None else min(self._answer_ms, due_ms)

    # --- saying -------------------------------------------------------------------------------------------------

    def due_ms(self, now_ms: int) -> int | None:
        """When `say` has something to say; None where there is nobody to say it to."""
        if not self._all:
            return None
        due = [now_ms if self._said_ms is None else self._said_ms + HEARTBEAT_MS]
        if self._answer_ms is not None:
            due.append(self._answer_ms)
        due += [self._tell_ms(found, now_ms) for found in self._lacking()]
        return min(due)

    def _lacking(self) -> list[_Neighbour]:
        return [found for found in self._all.values() if found.now is not None and found.holds < self._telling.through]

    def _tell_ms(self, found: _Neighbour, now_ms: int) -> int:
        """When this neighbour, which lacks something, is to be told."""
        if found.told_ms is None:
            return now_ms
        if not self._is_heard(found, now_ms):
            return found.told_ms + HEARTBEAT_MS
        return now_ms if self._may_go_on(found) else found.told_ms + RETELL_MS

    def say(self, now_ms: int) -> list[Word]:
        """The words that are due; each neighbour that lacks something is told one page at most."""
        pages: list[Sequence[Told]] = []
        due = [found for found in self._lacking() if self._tell_ms(found, now_ms) <= now_ms]
        for behind, found in sorted(((self._behind(found, now_ms), found) for found in due), key=lambda pair: pair[0]):
            if not pages or not pages[-1][0].place <= behind + 1 <= pages[-1][-1].place:
                pages.append(self._telling.page(behind))
            found.told_to = max(found.told_to, pages[-1][-1].place)
        answer = self._answer_ms is not None and self._answer_ms <= now_ms
        beat = self._said_ms is None or now_ms - self._said_ms >= HEARTBEAT_MS
        if not pages and self._all and (answer or beat):
            pages = [()]
        return [self._word(page, now_ms) for page in pages]

    def _behind(self, found: _Neighbour, now_ms: int) -> int:
        """Behind which place this neighbour is to be told now; from the first it lacks where its patience is over."""
        if found.told_ms is None or not self._is_heard(found, now_ms) or not self._may_go_on(found):
            found.told_to, found.told_ms = found.holds, now_ms
        # All that it lacks in one word, where that fits: then none of the words before it need have come.
        whole = self._telling.page(found.holds)[-1].place == self._telling.through
        return max(found.holds if whole else found.told_to, self._telling.forgotten)

    def _may_go_on(self, found: _Neighbour) -> bool:
        return found.told_to < self._telling.through and found.told_to - found.holds < AHEAD_MAX

    def _word(self, told: Sequence[Told], now_ms: int) -> Word:
        self._number += 1
        self._said.append((self._number, now_ms))
        self._forget_words(now_ms)
        self._said_ms, self._answer_ms, self._came_by_broker = now_ms, None, False
        heard = {device: mark for device, found in self._all.items() if (mark := self._mark(found)) is not None}
        telling = self._telling
        return Word(self._run, self._number, telling.through, list(told), heard, telling.forgotten)

    def _mark(self, found: _Neighbour) -> tuple[str, int, int] | None:
        """What we heard of it last. Of two processes each gets every other word: recordings hide no live one."""
        known = None if found.now is None else (found.now.run, found.now.number, found.now.place)
        if found.candidate is None or (known is not None and self._number % 2):
            return known
        return *found.candidate, 0

    # --- asked by others ----------------------------------------------------------------------------------------

    @staticmethod
    def _is_heard(found: _Neighbour, now_ms: int) -> bool:
        return found.heard_ms is not None and now_ms - found.heard_ms < HEARD_MS

    def heard_until(self) -> dict[str, int]:
        """Of each counter that was ever heard, until when it counts as heard."""
        return {device: found.heard_ms + HEARD_MS for device, found in self._all.items() if found.heard_ms is not None}

    def needs_broker(self, now_ms: int) -> bool:
        """Whether the next word must go by the broker, whatever it says: somebody wasn't heard directly lately."""
        return self._came_by_broker or any(
            found.direct_ms is None or now_ms - found.direct_ms >= DIRECT_MS for found in self._all.values()
        )
