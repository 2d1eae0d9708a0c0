"""The doors of the hub on one page: what each outer part promises to the core, and what it must do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hub.forwarding import Answer


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came: `mark` and `connection` acknowledge it; `kept`: the broker had it before."""

    topic: str
    payload: bytes
    mark: int
    connection: int
    kept: bool = False


class Link(Protocol):
    """The wire to the broker; everything that the hub says is retained, QoS 1."""

    def publish(self, topic: str, payload: bytes) -> bool:
        """Hand over one message; False when there is no connection. Promises nothing."""

    def acknowledge(self, message: Message) -> None:
        """Let the broker send more; a message of an earlier connection is gone there anyway."""


class City(Protocol):
    """The city's records service."""

    def submit(self, batch: Sequence[bytes]) -> Answer:
        """Push events' exact bytes; never raises."""

    def close(self) -> None:
        """Give the connections back."""
