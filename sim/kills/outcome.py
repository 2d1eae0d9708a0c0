"""What a story came to: figures, problems, and whether the promise was kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sim.reckoning import Reckoning

SHOWN: Final = 5


@dataclass(slots=True)
class Outcome:
    """One story's end. `problems` are sentences; none means kept."""

    name: str
    seed: int
    seconds: float = 0.0
    figures: dict[str, float | int | str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether the promise was kept, and nothing else went wrong."""
        return not self.problems

    def compared(self, found: Reckoning) -> None:
        """Take the comparison of every tap in."""
        self.figures |= {
            "signals": found.signals,
            "journal": found.journal,
            "hub": found.hub,
            "city": found.city or 0,
            "lost": len(found.lost),
            "double": len(found.double),
            "corrupt": len(found.changed),
            "phantom": len(found.phantom),
            "without_signal": len(found.unsignalled),
        }
        for problems in (found.lost, found.double, found.changed, found.phantom, found.unexplained, found.faults):
            self.problems += problems[:SHOWN]
            if len(problems) > SHOWN:
                self.problems.append(f"and {len(problems) - SHOWN} more like it")

    def ended(self, codes: Mapping[str, int]) -> None:
        """Take the parts' exit codes in: each was asked to end, and 0 is a clean end."""
        self.problems += [f"{name} ended with {code}" for name, code in codes.items() if code]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.name,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "kept": self.kept,
            "figures": self.figures,
            "problems": self.problems,
        }

    def __str__(self) -> str:
        """One line for a person."""
        told = ", ".join(
            f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in self.figures.items()
        )
        return f"{self.name}, seed {self.seed}, {self.seconds:.0f} s, {'kept' if self.kept else 'NOT KEPT'}: {told}"
