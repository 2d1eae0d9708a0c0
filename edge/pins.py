"""Lamps and a buzzer on a Raspberry Pi's pins, through gpiozero."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

from edge.patterns import Lamp
from edge.pinplan import Output, PinPlan
from protocol.errors import ConfigError


class PinPanel:
    """See player.Panel."""

    def __init__(self, plan: PinPlan) -> None:
        """Take the pins as outputs, all off. Raises ConfigError, also where the library is missing."""
        try:
            from gpiozero import DigitalOutputDevice
        except ImportError as problem:
            raise ConfigError(
                f"lamps on pins need gpiozero: {problem}", hint="pip install 'k12edge[gpio]', then start again."
            ) from problem
        self._outputs: dict[Output, Any] = {}
        # Which way to the pins failed, and why, gpiozero tells as warnings only.
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                for output, pin in plan.pins.items():
                    self._outputs[output] = DigitalOutputDevice(pin, active_high=not plan.active_low)
            except Exception as problem:
                self.close()
                # gpiozero and the libraries beneath it raise errors of many kinds.
                reasons = "; ".join(dict.fromkeys([f"{problem}", *(f"{one.message}" for one in said)]))
                raise ConfigError(
                    f"the pins can't be used: {reasons}",
                    hint="See firmware-config/wiring/lamps.md; without a Raspberry Pi's pins take the sink out.",
                ) from problem

    def switch(self, lamp: Lamp | None, *, buzzer: bool) -> None:
        """See Panel.switch; what goes off goes off first, so that no two lamps are lit at once.

        One that fails holds up no other; the first one's error is raised in the end.
        """
        wanted = {lamp, "buzzer" if buzzer else None}
        problems: list[Exception] = []
        for output in sorted(self._outputs, key=wanted.__contains__):
            device = self._outputs[output]
            try:
                device.on() if output in wanted else device.off()
            except Exception as problem:
                problems.append(problem)
        if problems:
            raise problems[0]

    def close(self) -> None:
        """See Panel.close; each pin goes off, whatever another one does."""
        outputs, self._outputs = self._outputs, {}
        for device in outputs.values():
            with suppress(Exception):
                device.off()
        for device in outputs.values():
            with suppress(Exception):
                device.close()
