"""The faults: what goes wrong, each kind on its own, told in words. They know nothing of the checkers."""

from sim.world.faults.kind import Kind
from sim.world.faults.kinds import BY_NAME, KINDS

__all__ = ["BY_NAME", "KINDS", "Kind"]
