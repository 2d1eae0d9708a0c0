"""A kind of fault: what happens when it begins and when it ends, and how it reads in a story."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.world.school import School

Begin = Callable[["School", Random], "Callable[[], None] | None"]
"""Does it, by its own chance; gives what ends it, None where it ends by itself."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`words` tell it to a person; it lasts from `shortest_s` to `longest_s`, 0 where it is one moment.

    `effects` are what School.truth counts when it has struck, by their beginnings; one of them at least is expected
    over a campaign.
    """

    name: str
    words: str
    begin: Begin
    shortest_s: float = 0.0
    longest_s: float = 0.0
    effects: tuple[str, ...] = ()
