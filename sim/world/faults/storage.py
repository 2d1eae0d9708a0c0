"""Faults of disks: full, failing once before or after the bytes are there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

from sim.world.faults.kind import Kind
from sim.world.underneath import Storage, StorageFault

if TYPE_CHECKING:
    from sim.world.school import School

FOR_EVER: Final = 1 << 30


def _of(school: School, rng: Random, part: str) -> Storage:
    return school.hub.storage if part == "hub" else rng.choice(school.gateways).storage


def _full(part: str, school: School, rng: Random) -> Callable[[], None]:
    storage = _of(school, rng, part)
    fault = storage.fault = StorageFault("full", FOR_EVER, partial(school.truth.count, f"{part} disk full"))

    def end() -> None:
        if storage.fault is fault:
            storage.fault = None

    return end


def _once(part: str, kind: str, school: School, rng: Random) -> None:
    fired = partial(school.truth.count, f"{part} sync failed {'after' if kind == 'late' else 'before'} the write")
    _of(school, rng, part).fault = StorageFault(kind, rng.randint(1, 3), fired)


def _kind(name: str, words: str, part: str, kind: str) -> Kind:
    when = "after" if kind == "late" else "before"
    return Kind(name, words, partial(_once, part, kind), effects=(f"{part} sync failed {when} the write",))


KINDS: Final = (
    Kind("gateway-full", "a gateway's disk is full", partial(_full, "gateway"), 5, 900, ("gateway disk full",)),
    Kind("hub-full", "the hub's disk is full", partial(_full, "hub"), 5, 900, ("hub disk full",)),
    _kind("gateway-error", "a gateway's disk fails before it wrote", "gateway", "error"),
    _kind("gateway-late-error", "a gateway's disk writes and fails to sync", "gateway", "late"),
    _kind("hub-error", "the hub's disk fails before it wrote", "hub", "error"),
    _kind("hub-late-error", "the hub's disk writes and fails to sync", "hub", "late"),
)
