"""The doors of the hub on one page: what each outer part promises to the core, and what it must do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection

    from hub.forwarding.owing import Answer
    from hub.lists.changes import Change
    from hub.lists.known import KnownPupil
    from hub.rostersync.asking import Answer as RosterAnswer
    from hub.rostersync.asking import Ask


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


class CityAudit(Protocol):
    """The city's records, read back."""

    def page(self, after: str | None) -> tuple[list[bytes], str | None]:
        """Records' exact bytes in the order of the city's commits, and the next `after`. Raises CityUnreachable.

        None asks for the first ones; the next `after` is None at the end.
        """

    def close(self) -> None:
        """Give the connections back."""


class CityRoster(Protocol):
    """The city's roster service."""

    def ask(self, asked: Ask) -> RosterAnswer:
        """One question, one answer, within a bounded time and size; never raises."""

    def close(self) -> None:
        """Give the connections back."""


class Mirror(Protocol):
    """The hub's pupils, of whom the city is the master. All are asked under the ledger's lock."""

    def known(self) -> Sequence[KnownPupil]:
        """Every pupil, also who left."""

    def holders(self) -> Collection[str]:
        """The keys of the pupils who have a card."""

    def apply(self, changes: Sequence[Change], now_ms: int) -> str | None:
        """Take changes whole, within a transaction; the new release's name, None where stations learn nothing by it."""
