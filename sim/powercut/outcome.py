"""What a story of power cuts found: points, states, and by name whatever broke the promise."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

READY_S_MAX: Final = 5.0
"""How long after a cut a part may take until it is ready again (a tap can be taken), on any state."""
NAMED_MAX: Final = 200
"""Problems that are kept by name; further ones are only counted."""


@dataclass(slots=True)
class Outcome:
    """Points cut at, distinct states rebuilt and opened, records promised by the end, and what was wrong."""

    points: int = 0
    states: int = 0
    taps: int = 0
    lost: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    phantom: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    ready_s: float = 0.0
    seconds: float = 0.0
    cpu_s: float = 0.0
    more: Counter[str] = field(default_factory=Counter)

    @property
    def kept(self) -> bool:
        """Whether the promise was kept in every state."""
        return not any(self.problem_lists().values())

    def problem_lists(self) -> dict[str, list[str]]:
        """The kinds of problems there are."""
        return {
            "lost": self.lost,
            "double": self.double,
            "corrupt": self.corrupt,
            "phantom": self.phantom,
            "late": self.late,
            "unnamed": self.unnamed,
        }

    def problems(self) -> list[str]:
        """All of them, each with its kind."""
        return [f"{kind}: {name}" for kind, names in self.problem_lists().items() for name in names]

    def ready(self, name: str, seconds: float) -> None:
        """A state was opened and ready after so long."""
        self.ready_s = max(self.ready_s, seconds)
        if seconds > READY_S_MAX:
            self.late.append(f"{name}: ready after {seconds:.1f} s")

    def add(self, other: Outcome) -> None:
        """Take another one's findings along."""
        self.points += other.points
        self.states += other.states
        self.taps = max(self.taps, other.taps)
        self.ready_s = max(self.ready_s, other.ready_s)
        self.seconds += other.seconds
        self.cpu_s += other.cpu_s
        self.more.update(other.more)
        mine = self.problem_lists()
        for kind, names in other.problem_lists().items():
            mine[kind] += names[: NAMED_MAX - len(mine[kind])]

    def figures(self) -> dict[str, Any]:
        """For programs."""
        return {
            "points": self.points,
            "states": self.states,
            "promised": self.taps,
            **{kind: len(names) for kind, names in self.problem_lists().items()},
            "ready_ms_max": round(self.ready_s * 1000),
            "states_per_second": round(self.states / max(self.seconds, 0.001)),
            "states_per_cpu_second": round(self.states / max(self.cpu_s, 0.001)),
            **{name.replace(" ", "_"): count for name, count in sorted(self.more.items())},
        }

    def __str__(self) -> str:
        """One line for people."""
        found = ", ".join(f"{len(names)} {kind}" for kind, names in self.problem_lists().items())
        more = "".join(f", {count} {name}" for name, count in sorted(self.more.items()))
        return (
            f"{self.points} points, {self.states} states, {self.taps} promised: {found}{more};"
            f" ready within {self.ready_s * 1000:.0f} ms; {self.states / max(self.seconds, 0.001):.0f} states/s,"
            f" {self.states / max(self.cpu_s, 0.001):.0f} a second of one core"
        )
