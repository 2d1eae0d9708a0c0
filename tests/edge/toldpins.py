"""Mock pins that tell each change; as a program, a gateway on such pins: `-m tests.edge.toldpins FILE gateway ...`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockPin


@dataclass(frozen=True, slots=True)
class Change:
    """A pin that went high or low, and CLOCK_MONOTONIC then."""

    at_ns: int
    pin: int
    high: bool


class ToldPin(MockPin):
    """A mock pin whose changes are handed on, in the order in which they happen."""

    tell: ClassVar[Callable[[Change], None]]

    def _change_state(self, value: bool) -> bool:
        changed: bool = super()._change_state(value)
        if changed:
            type(self).tell(Change(time.monotonic_ns(), int(self.info.name.removeprefix("GPIO")), bool(value)))
        return changed


def told(tell: Callable[[Change], None]) -> MockFactory:
    """Have gpiozero make such pins from now on."""
    ToldPin.tell = staticmethod(tell)
    Device.pin_factory = MockFactory(pin_class=ToldPin)
    return Device.pin_factory


def read_changes(path: Path) -> list[Change]:
    """What a gateway on such pins has told so far."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="ascii").split("\n")[:-1]
    return [Change(int(at), int(pin), high == "1") for at, pin, high in map(str.split, lines)]


def main() -> int:
    """Run the command on told pins."""
    from k12edge.cli import main as run

    file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    told(lambda change: os.write(file, b"%d %d %d\n" % (change.at_ns, change.pin, change.high)) and None)
    return run(sys.argv[2:])


if __name__ == "__main__":
    raise SystemExit(main())
