"""The fleet: how each gateway said that it is, and when it was last heard. In memory; brokers keep the last word."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from protocol.status import DeviceState

DEVICES_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Heard:
    """A gateway's last state message, when it came (ms of the hub's monotonic clock), whether it is connected."""

    state: DeviceState
    at_ms: int
    connected: bool


class Fleet:
    """See the room; threads may ask while another tells."""

    def __init__(self) -> None:
        """Nobody was heard yet."""
        self._heard: dict[str, Heard] = {}
        self._lock = threading.Lock()

    def heard(self, device: str, state: DeviceState, now_ms: int, *, connected: bool = True) -> None:
        """A state message came."""
        with self._lock:
            if device in self._heard or len(self._heard) < DEVICES_MAX:
                self._heard[device] = Heard(state, now_ms, connected)

    def restore(self, device: str, before: Heard | None) -> None:
        """What a state message said wasn't taken: all is as before it."""
        with self._lock:
            if before is None:
                self._heard.pop(device, None)
            else:
                self._heard[device] = before

    def broker_lost(self) -> None:
        """Nobody can say who is connected; each is again when it was heard again."""
        with self._lock:
            for device, known in self._heard.items():
                self._heard[device] = replace(known, connected=False)

    def lost(self, device: str, now_ms: int) -> None:
        """The broker said, or the gateway itself, that its connection ended."""
        with self._lock:
            known = self._heard.get(device)
            if known is not None:
                self._heard[device] = Heard(known.state, now_ms, connected=False)

    def behind(self, release: str) -> bool:
        """Whether a connected gateway names another roster release than this one, or none."""
        with self._lock:
            return any(
                heard.connected and set(heard.state.rosters.values()) != {release} for heard in self._heard.values()
            )

    def find(self, device: str) -> Heard | None:
        """The last word of a gateway, None when it wasn't heard since the hub started."""
        with self._lock:
            return self._heard.get(device)
