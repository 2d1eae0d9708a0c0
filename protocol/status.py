"""What gateways and hub say of themselves: the bodies of the state and configuration messages."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from protocol.errors import BadMessage

T = TypeVar("T", bound=msgspec.Struct)


class HeldJournal(msgspec.Struct, frozen=True):
    """What a gateway still has of one journal: first and last sequence held, the head's digest, pruned through."""

    first_held: int
    last: int
    head: str | None
    pruned_through: int


class ReaderCounters(msgspec.Struct, frozen=True):
    """What one reader did since its gateway's start; each counts up.

    `looks` that succeeded and `faults` of looks that did not; `sightings`: cards that came; `unread`: what came and
    gave no number; `opens`, and `losses` of a reader that had been ready or was never there.
    """

    opens: int
    losses: int
    looks: int
    faults: int
    sightings: int
    unread: int


class DeviceState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of dev/<device>/state, signed by the device's `key`.

    `connection` counts connections of this process; `hk0` is the gateway's own card key, and `raw0` the secret of the
    box key that it sealed raw card numbers to before it knew the hub's (32 bytes each, both sealed to the hub; absent
    until the hub's box key is known); `owed` records wait for the hub, the oldest for `oldest_age_s`; `mono` and `boot`
    let the hub's answer anchor the clock; `alarms` are error codes that stand now; `readers` and `counters` tell of
    each station's reader whether it is `ready` and what it did; `partials` are the parts of card numbers that its
    readers may hand over, such as `w24-reversed-first` (see cardforms.PartialPlan); `sheet` is the version of the
    counters' sheet in force, 0 where a gateway with counters has none, absent where it has no counters.
    """

    state: str
    connection: int
    key: str
    box: str
    boot: str
    mono: int
    wall: str
    sync: str
    version: str
    journal: str
    journals: dict[str, HeldJournal]
    owed: int
    oldest_age_s: int | None = None
    err: int | None = None
    hk0: str | None = None
    raw0: str | None = None
    disk_free_bytes: int | None = None
    rosters: dict[str, str] = {}
    alarms: list[str] = []
    readers: dict[str, str] = {}
    counters: dict[str, ReaderCounters] = {}
    partials: list[str] = []
    sheet: int | None = None


class HubState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The retained body of hub/state, plain JSON; `ready` or (by the broker's will) `lost`.

    `sig` is `key`'s signature over hub_text; nothing is sealed to a `box` that the hub didn't sign.
    """

    state: str
    epoch: str
    key: str
    box: str
    backup_interval_s: int = 86_400
    city: bool = False
    sig: str | None = None


def hub_text(state: HubState) -> bytes:
    """The text that a hub signs of its state."""
    return f"k12edge.hub.v1\n{state.state}\n{state.epoch}\n{state.key}\n{state.box}".encode()


class DeviceConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of dev/<device>/cfg, signed by the hub: `keys` are `[number, secret sealed to the device's box]`."""

    version: int
    keys: list[tuple[int, str]] = []


def decode_body(body: bytes, shape: type[T]) -> T:
    """Read one of the bodies above; raises BadMessage."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, RecursionError, ValueError) as problem:
        raise BadMessage(f"not a {shape.__name__}: {problem}") from problem
