"""The backlog as a screen tells it: whether the hub hears us, what it lacks, and since when the oldest of it waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocol.envelope import decode_event, unix_ms_of
from protocol.errors import K12EdgeError

if TYPE_CHECKING:
    from edge.bookreader import BookReader
    from edge.uplink import Uplink


@dataclass(frozen=True, slots=True)
class Standing:
    """One moment's: `oldest_ms` (Unix) is the time that the oldest unsent record says, None where none waits."""

    link: bool = False
    unsent: int = 0
    oldest_ms: int | None = None


class Backlog:
    """Looked at on the delivery's thread, which has the file's reader; read from any."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.now = Standing()
        self._oldest: tuple[str, int] | None = None
        self._oldest_ms: int | None = None

    def look(self, reader: BookReader, uplink: Uplink, *, link: bool) -> None:
        """Take the moment in; the file is read only where another record is the oldest."""
        oldest = uplink.oldest_owed()
        if oldest != self._oldest:
            self._oldest, self._oldest_ms = oldest, None
            if oldest is not None:
                try:
                    self._oldest_ms = unix_ms_of(decode_event(reader.lines(*oldest, oldest[1])[0]).time)
                except K12EdgeError:
                    # It can't be read back; how long it waits is not known, and told elsewhere.
                    self._oldest_ms = None
        self.now = Standing(link, uplink.owed(), self._oldest_ms)
