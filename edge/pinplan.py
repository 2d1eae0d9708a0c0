"""A pin plan: which of a Raspberry Pi's pins drives which lamp or the buzzer, read from a sink's address."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from protocol.errors import ConfigError

Output = Literal["green", "yellow", "red", "buzzer"]

SCHEME: Final = "gpio:"
OUTPUTS: Final[tuple[Output, ...]] = get_args(Output)
PIN_MAX: Final = 27
"""BCM numbers 0 to 27 lie on the 40-pin header (Raspberry Pi documentation, "GPIO and the 40-pin header")."""
OPTIONS: Final = ("active", "station")


@dataclass(frozen=True, slots=True)
class PinPlan:
    """What hangs on which pin, by BCM numbers; `active_low`: a pin is switched on by pulling it down.

    `station`: whose signals are shown; None where all stations share these lamps.
    """

    pins: dict[Output, int]
    active_low: bool
    station: str | None


def parse_pins(sink: str) -> PinPlan:
    """The plan of `gpio:green=17,yellow=27,red=22,buzzer=18[,active=low][,station=NAME]`. Raises ConfigError."""
    assert sink.startswith(SCHEME)
    told: dict[str, str] = {}
    for part in sink.removeprefix(SCHEME).split(","):
        name, equals, value = part.partition("=")
        if not equals or name not in OUTPUTS + OPTIONS:
            raise ConfigError(f"{part!r} is not NAME=VALUE with one of {', '.join(OUTPUTS + OPTIONS)}")
        if name in told:
            raise ConfigError(f"{name} is given twice")
        told[name] = value
    active, station = told.pop("active", "high"), told.pop("station", None)
    if active not in ("high", "low"):
        raise ConfigError(f"active={active} is neither high nor low")
    if not told:
        raise ConfigError(f"no pin is named; one or more of {', '.join(OUTPUTS)}")
    pins = {cast(Output, name): _pin(name, value) for name, value in told.items()}
    _each_once(pins.values())
    return PinPlan(pins, active == "low", station)


def _pin(name: str, value: str) -> int:
    # str(int()) refuses signs, spaces, leading zeros and other scripts' digits in one go.
    if not value.isdecimal() or len(value) > 2 or str(int(value)) != value or int(value) > PIN_MAX:
        raise ConfigError(f"{name}={value} is not a BCM number from 0 to {PIN_MAX}")
    return int(value)


def _each_once(pins: Iterable[int]) -> None:
    seen: set[int] = set()
    for pin in pins:
        if pin in seen:
            raise ConfigError(f"pin {pin} is given twice")
        seen.add(pin)


def check_plans(plans: Iterable[PinPlan], stations: Iterable[str]) -> None:
    """Hold the plans of one gateway against each other and its stations. Raises ConfigError."""
    plans, stations = list(plans), list(stations)
    _each_once(pin for plan in plans for pin in plan.pins.values())
    for plan in plans:
        if plan.station is not None and plan.station not in stations:
            raise ConfigError(f"station={plan.station} is not one of {', '.join(stations) or 'none at all'}")
