"""MQTT topics: one tree per school, one branch per device."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

from protocol.taps import SLUG

ROOT: Final = "k12/1"
DEVICE_TOPICS: Final = ("ev", "receipt", "state", "served", "cmd", "cfg", "sheet")
"""Below k12/1/<school>/dev/<device>/. A device writes ev, state and served; the hub writes the others."""

CHARACTERS_MAX: Final = 160
"""No device topic is longer: school and device have at most 64 characters each (SLUG)."""


@dataclass(frozen=True, slots=True)
class DeviceTopic:
    """A topic taken apart: school, device, and which of DEVICE_TOPICS."""

    school: str
    device: str
    leaf: str


def device_topic(school: str, device: str, leaf: str) -> str:
    """k12/1/<school>/dev/<device>/<leaf>; `device` may be `+` in a subscription."""
    assert leaf in DEVICE_TOPICS, leaf
    return f"{ROOT}/{school}/dev/{device}/{leaf}"


def hub_state_topic(school: str) -> str:
    """Where the hub says that it is ready, with its epoch and public keys."""
    return f"{ROOT}/{school}/hub/state"


def roster_topic(school: str, kind: str) -> str:
    """Where the roster release for stations of one kind is kept."""
    return f"{ROOT}/{school}/roster/{kind}"


def parse_device_topic(topic: str) -> DeviceTopic | None:
    """Take a device topic apart, or None when it isn't one."""
    return _taken_apart(topic) if len(topic) <= CHARACTERS_MAX else None


@functools.lru_cache(maxsize=256)
def _taken_apart(topic: str) -> DeviceTopic | None:
    parts = topic.split("/")
    if len(parts) != 6 or "/".join(parts[:2]) != ROOT or parts[3] != "dev" or parts[5] not in DEVICE_TOPICS:
        return None
    if not SLUG.fullmatch(parts[2]) or not SLUG.fullmatch(parts[4]):
        return None
    return DeviceTopic(parts[2], parts[4], parts[5])


def device_source(school: str, device: str) -> str:
    """The CloudEvents source of a gateway's records."""
    return f"urn:k12edge:dev:{school}-{device}"


def hub_source(school: str, hub: str) -> str:
    """The CloudEvents source of a hub's own records."""
    return f"urn:k12edge:hub:{school}-{hub}"
