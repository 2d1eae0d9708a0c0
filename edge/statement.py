"""The statement: what a gateway says of itself in its state message, and what the broker says when it is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from protocol.envelope import decode_event, rfc3339, unix_ms_of
from protocol.errors import K12EdgeError
from protocol.signing import sign_message
from protocol.status import DeviceState, HeldJournal
from protocol.topics import device_topic

if TYPE_CHECKING:
    from edge.bookreader import BookReader
    from edge.clock import SystemClock
    from edge.devicekeys import DeviceKeys
    from edge.rosterstore import RosterStore
    from edge.uplink import Uplink

TOLD_MAX: Final = 64
"""Journals in one state message; a receipt answers as many."""
EVERY_MS: Final = 30_000
"""How often a gateway says how it is, and asks the hub's clock, while connected."""
AGAIN_MS: Final = 2_000
"""Sooner than that a gateway doesn't say again whether it owes anything."""
OWING_MS: Final = 2_000
"""What is receipted sooner than that was never worth a message: at a gate every pupil would make two."""


class Occasions:
    """When a gateway says how it is: every so often, on a new connection, and when what it owes has changed."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self.at_once = False
        """Something changed that the hub must hear of, whatever the time. Another thread sets it."""
        self.news = False
        """An alarm came, or a reader's state is another. Another thread sets it."""
        self.confirmed = False
        """A receipt named journals that were asked about, so the next ones can be."""
        self._due_ms = 0
        self._owing_ms: int | None = None
        self._told_owing = False

    def due(self, now_ms: int, *, owing: bool, unasked: bool) -> bool:
        """Whether now is one. `owing`: the hub lacks records; `unasked`: journals wait to be asked about."""
        if not owing:
            self._owing_ms = None
        elif self._owing_ms is None:
            self._owing_ms = now_ms
        lasts = self._owing_ms is not None and now_ms - self._owing_ms >= OWING_MS
        turned = not owing if self._told_owing else lasts
        again = now_ms >= self._due_ms - EVERY_MS + AGAIN_MS
        more = unasked and (again or self.confirmed)
        return self.at_once or more or (again and (turned or self.news)) or now_ms >= self._due_ms

    def told(self, now_ms: int, *, owing: bool) -> None:
        """A state was handed to the link."""
        self._due_ms = now_ms + EVERY_MS
        self._told_owing = owing
        self.confirmed = False


class Statement:
    """See the room. `vitals` gives its health part."""

    def __init__(
        self,
        version: str,
        journal: str,
        uplink: Uplink,
        keys: DeviceKeys,
        rosters: RosterStore,
        clock: SystemClock,
        vitals: Callable[[], dict[str, object]],
    ) -> None:
        """`journal` is the running one."""
        self._version, self._journal = version, journal
        self._uplink, self._keys, self._rosters = uplink, keys, rosters
        self._clock, self._vitals = clock, vitals

    def made(self, reader: BookReader, connection: int) -> DeviceState:
        """The state now, on this process's `connection`-th connection."""
        reading = self._clock.read()
        oldest = self._uplink.oldest_owed()
        held: dict[str, HeldJournal] = {}
        for journal, held_from, last in self._uplink.to_tell(TOLD_MAX):
            held[journal] = HeldJournal(held_from, last, _digest_or_none(reader, journal, last), held_from - 1)
        hk0, raw0 = self._keys.handover()
        return DeviceState(
            state="ready",
            connection=connection,
            key=self._keys.identity.key,
            box=self._keys.identity.box,
            boot=reading.boot,
            mono=reading.mono_ms,
            wall=rfc3339(reading.wall_ms),
            sync=reading.sync,
            version=self._version,
            journal=self._journal,
            journals=held,
            owed=self._uplink.owed(),
            oldest_age_s=None if oldest is None else self._age_s(reader, *oldest, reading.best_ms),
            err=reading.err_ms,
            hk0=hk0,
            raw0=raw0,
            # Who lost a card is told at how many gateways it is refused: without the card key, at none.
            rosters=self._rosters.names(lambda release: self._keys.fits(release.keys)),
            **self._vitals(),  # type: ignore[arg-type]  # The health room's keys are DeviceState's.
        )

    def _age_s(self, reader: BookReader, journal: str, sequence: int, now_ms: int) -> int | None:
        try:
            event = decode_event(reader.lines(journal, sequence, sequence)[0])
            return max(0, (now_ms - unix_ms_of(event.time)) // 1000)
        except K12EdgeError:
            return None


def _digest_or_none(reader: BookReader, journal: str, sequence: int) -> str | None:
    """A head that can't be read must not silence the gateway's state."""
    try:
        return reader.digest_at(journal, sequence) if sequence else None
    except K12EdgeError:
        return None


def will_message(school: str, device: str, keys: DeviceKeys) -> tuple[str, bytes]:
    """What the broker says for us when the connection dies: state `lost`, signed."""
    topic = device_topic(school, device, "state")
    return topic, sign_message(keys.identity, topic, b'{"state":"lost"}')
