"""The city's folder: numbered files that the hub lays for a person to send, and who said that they sent them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import msgspec

from hub.city.files import CityFiles, FilesRefused, Manifest, Sent
from hub.reporting.making import Reporting
from hub.reports.words import moment_text
from protocol.envelope import rfc3339

if TYPE_CHECKING:
    from hub.parts import Store

TO_CHARACTERS_MAX: Final = 200


class AlreadySent(FilesRefused):
    """Somebody has said already that this number was sent there; nothing was written."""

    code = "files-already-sent"
    hint = "Nothing is to be done. A number that goes to somebody else too is said with another --to."


@dataclass(frozen=True, slots=True)
class Laid:
    """A number: what was laid, who sent it, what of it isn't as it was laid. `manifest` None: it can't be read."""

    number: int
    manifest: Manifest | None
    sent: tuple[Sent, ...]
    faults: tuple[str, ...]

    def told(self) -> dict[str, Any]:
        """For programs."""
        return {
            "number": self.number,
            "manifest": None if self.manifest is None else msgspec.to_builtins(self.manifest),
            "sent": [{"by": one.by, "to": one.to, "time": rfc3339(one.at_ms)} for one in self.sent],
            "faults": list(self.faults),
        }


class CityFolder:
    """See the room. Raises FilesRefused where no folder is configured."""

    def __init__(self, store: Store) -> None:
        """Of one hub."""
        self._store = store

    def make(self, by: str, first: date, last: date) -> Manifest:
        """The next number, of a span of days. Raises ReportRefused, FilesRefused."""
        self._files()
        return Reporting(self._store).lay(by, first, last)

    def all(self, newest: int | None = None) -> list[Laid]:
        """Every number, or the newest ones, the newest first; each file is read and held to its manifest."""
        files = self._files()
        with self._store.database.lock:
            said = self._store.sent.all()
        found = []
        for number in list(reversed(files.numbers()))[:newest]:
            sent = tuple(one for one in said if one.number == number)
            try:
                found.append(Laid(number, files.manifest(number), sent, tuple(files.faults(number))))
            except FilesRefused as problem:
                found.append(Laid(number, None, sent, (str(problem),)))
        return found

    def sent(self, by: str, number: int, to: str) -> Sent:
        """Somebody's word that they sent a number, as it was laid; a record.

        Raises FilesRefused; AlreadySent where the same files went there already by somebody's word.
        """
        store = self._store
        if len(to) > TO_CHARACTERS_MAX or not to.isprintable():
            raise FilesRefused(f"to: at most {TO_CHARACTERS_MAX} characters of one line", hint="Name who got them.")
        word = self._files().sent(number, by, to, store.clock.now_ms())
        with store.database.lock:
            before = next((one for one in store.sent.all() if _same(one, word)), None)
        if before is not None:
            when = moment_text(before.at_ms)
            raise AlreadySent(
                f"số {number} đã được ghi là đã gửi cho {before.to} lúc {when}, bởi {before.by}"
                f" / number {number} was already sent to {before.to} by {before.by} on {when}"
            )
        with store.database.transaction():
            store.daybook.enter("files.sent", word.data())
        store.office.on_entered(False)
        return word

    def octets(self, number: int, name: str) -> bytes:
        """A file of a number as it was laid. Raises FilesRefused."""
        return self._files().octets(number, name)

    def _files(self) -> CityFiles:
        place = self._store.config.city.files_dir
        if place is None:
            raise FilesRefused("no files are laid for the city", hint='Set [city] kind = "files" and files_dir.')
        return CityFiles(place)


def _same(one: Sent, other: Sent) -> bool:
    return (one.number, one.manifest, one.to.casefold()) == (other.number, other.manifest, other.to.casefold())
