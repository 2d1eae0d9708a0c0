"""A hub's side of the roster in memory: its pupils, what it remembers, and pulls against a city without a socket."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from random import Random
from typing import Final

import httpx2

from hub.city.oneroster import judged, parameters
from hub.lists.changes import Change, applied
from hub.lists.known import KnownPupil
from hub.rostersync.asking import Kind
from hub.rostersync.held import HeldRow
from hub.rostersync.plan import Asked, Plan
from hub.rostersync.pull import DeltaRefused, Harvest, Pull, PullFailed
from hub.rostersync.settling import NOTHING, SyncState, settle, since_ms
from hub.rostersync.walk import WalkFailed
from protocol.errors import K12EdgeError
from sim.city.rosterapi import RosterApi
from sim.city.rosterbook import IDENTIFIER

REQUEST_MS: Final = 40
VIETNAM: Final = timedelta(hours=7)
TRIES_MAX: Final = 400


@dataclass(slots=True)
class Clock:
    """Time as the story has it, Unix ms; the city's and the hub's."""

    ms: int

    def now_ms(self) -> int:
        """Now."""
        return self.ms

    def day(self) -> date:
        """The day at the school."""
        return date.fromordinal(719_163 + (self.ms + int(VIETNAM.total_seconds() * 1000)) // 86_400_000)


class Twin:
    """The pupils as the hub has them: what a plan says is done to them, as the tables do it."""

    def __init__(self) -> None:
        """Nobody is known."""
        self.people: dict[str, KnownPupil] = {}
        self.cards: set[str] = set()
        self._number = 0

    def known(self) -> Sequence[KnownPupil]:
        """Everybody, also who left."""
        return list(self.people.values())

    def holders(self) -> Collection[str]:
        """Who has a card."""
        return self.cards

    def apply(self, changes: Sequence[Change], now_ms: int) -> str | None:
        """Take a plan's changes."""
        self.people = {one.key: one for one in applied(self.known(), changes, self._key)}
        return f"r-{now_ms}" if changes else None

    def _key(self) -> str:
        self._number += 1
        return f"st-{self._number:06d}"

    def enrolled(self) -> dict[str, tuple[str, str]]:
        """Pupils of the city's, by its id, with name and newest class."""
        return {
            one.city_id: (one.name, one.enrolments[-1].school_class)
            for one in self.people.values()
            if one.state == "enrolled" and one.city_id is not None
        }

    def ends(self) -> dict[str, date | None]:
        """Who left, and on which day."""
        return {key: one.enrolments[-1].last for key, one in self.people.items() if one.state == "left"}


@dataclass(slots=True)
class HubSide:
    """See the room. `failed`: pulls that came to nothing, `refused`: plans that the guard held back."""

    clock: Clock
    rng: Random
    twin: Twin = field(default_factory=Twin)
    state: SyncState = field(default_factory=SyncState)
    held: dict[str, dict[str, HeldRow]] = field(default_factory=dict)
    failed: int = 0
    guarded: int = 0
    asks: int = 0
    harvest: Harvest | None = None

    def pull(self, api: RosterApi, kind: Kind, asked: Asked = NOTHING) -> Plan | None:
        """One pull; None where it failed."""
        walk = Pull(kind, since_ms(self.state) if kind == "delta" else None, self.rng)
        try:
            while (ask := walk.ask()) is not None:
                self.clock.ms += REQUEST_MS
                told = api.answer(ask.collection, parameters(ask))
                answer = judged(
                    ask.collection, told.status, httpx2.Headers(told.headers), told.body, self.clock.ms / 1000
                )
                self.clock.ms += walk.take(answer)
        except (PullFailed, WalkFailed) as problem:
            self.failed += 1
            self.state = replace(self.state, delta_refused=isinstance(problem, DeltaRefused))
            return None
        finally:
            self.asks += walk.asks
        self.harvest = walk.harvest()
        return self.take(self.harvest, asked)

    def take(self, harvest: Harvest, asked: Asked) -> Plan:
        """Settle what a pull brought."""
        settled = settle(
            self.state,
            self.held,
            harvest,
            self.twin.known(),
            IDENTIFIER,
            self.clock.day(),
            self.clock.ms,
            asked,
            self.twin.holders(),
        )
        self.state = settled.state
        if settled.held is None:
            self.guarded += 1
        else:
            self.held = settled.held
            self.twin.apply(settled.plan.changes, self.clock.ms)
        return settled.plan

    def until_pulled(self, api: RosterApi, kind: Kind, asked: Asked = NOTHING) -> Plan:
        """Pull until one comes to its end."""
        for _ in range(TRIES_MAX):
            made = self.pull(api, kind, asked)
            if made is not None:
                return made
            self.clock.ms += 60_000
        raise NeverPulled(f"{TRIES_MAX} pulls failed")


class NeverPulled(K12EdgeError):
    """A city that can be pulled was never pulled."""

    code = "part-failed"
