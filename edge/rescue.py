"""The rescue: the journal's file was deleted or replaced under its running gateway, whose open file still holds all."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from host.durable import write_durably
from protocol.errors import JournalFailed, K12EdgeError

if TYPE_CHECKING:
    from edge.journal import SqliteJournal

log = logging.getLogger("k12edge.rescue")


class Rescue:
    """Looks whether the file is still there, and copies its records to where the next opening finds them."""

    def __init__(self, journal: SqliteJournal, told: Callable[[str], None], again: Callable[[], None]) -> None:
        """`journal` was just opened, and the gateway's keys lie beside it.

        `told` hears that the file is gone, before; `again` that its records wait for the gateway to begin anew.
        """
        self._journal, self._told, self._again = journal, told, again
        self._keys = journal.path.with_name("keys.json")
        self._kept: tuple[int, bytes] | None = None
        self._keep()

    def look(self) -> bool:
        """Two looks at the folder; True when the file or its log was gone and all is rescued. Raises like append."""
        if not self._journal.gone():
            self._keep()
            return False
        self._told(f"{self._journal.path} or its log was deleted or replaced; what the open file holds comes back")
        self._go()
        self._again()
        return True

    def _keep(self) -> None:
        """Remember the keys as they are: a gateway without them would be a stranger to its hub."""
        with suppress(OSError):
            changed_ns = self._keys.stat().st_mtime_ns
            if self._kept is None or self._kept[0] != changed_ns:
                content = self._keys.read_bytes()
                self._kept = (changed_ns, content) if content else self._kept

    def _go(self) -> None:
        """Copy everything into the folder, made anew where it is gone; the journal takes nothing afterwards.

        The copy has the name of a damaged file, so the next opening brings its records back. Raises like append.
        """
        folder = self._journal.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._kept is not None and not self._keys.exists():
                write_durably(self._keys, self._kept[1])
        except OSError as problem:
            raise JournalFailed(f"{folder} can't be made anew: {problem}") from problem
        name = f"journal-damaged-{secrets.token_hex(4)}.db"
        self._journal.copy_out(folder / name)
        log.warning("%s is gone; its records are in %s", self._journal.path, name)

    def close(self) -> None:
        """Close the journal, not without its records where the file went since the last look."""
        try:
            if self._journal.gone():
                self._go()
        except K12EdgeError as problem:
            log.error("%s: %s; the records of the file that is gone are lost", problem.code, problem)
        self._journal.close()
