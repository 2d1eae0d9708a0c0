"""The hub's store put together: the ledger and everything that lives in its file, for a running hub or a command."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from host.machine import Machine
from hub.clock import HubClock
from hub.config import HubConfig
from hub.desk import Desk, Outcome
from hub.store.anchorrows import AnchorRows
from hub.store.cardrows import CardRows
from hub.store.database import Database
from hub.store.devices import Devices
from hub.store.forwardrows import ForwardRows
from hub.store.ledger import Ledger
from hub.store.ownjournal import OwnJournal
from hub.store.rosterrows import RosterRows
from hub.store.secrets import Secrets
from protocol.topics import hub_source

VERSION = "0.1.0"
FILE_NAME = "ledger.db"
COPY_NAME = "keys-copy.json"
"""A copy of keys and accepted devices beside the ledger, as `k12edge hub keys export` writes it, and as secret."""
TAKING = ("devices-retire", "keys-import")
"""What people ask for that takes back what the copy says."""


class Store:
    """All of it on one connection. The instance lock is the caller's."""

    def __init__(self, config: HubConfig, machine: Machine | None = None) -> None:
        """Open the file. `machine` tells the time, where given.

        Raises SchemaTooNew, LedgerFailed, LedgerFull; what a damaged file's rows lead to.
        """
        self.config = config
        self.clock = HubClock(config.time_source, config.declared_error_ms, machine)
        self.path = config.data_dir / FILE_NAME
        self.copying = threading.Lock()
        """Held by whoever writes the copy of the keys, or makes it wrong: what was true before isn't written after."""
        self.own: OwnJournal | None = None
        """This run's journal of the hub's own records, None until somebody needs one."""
        self.database = Database(self.path)
        try:
            self._furnish(config)
        except BaseException:
            self.database.close()
            raise

    def _furnish(self, config: HubConfig) -> None:
        self.ledger = Ledger(self.database)
        self.devices = Devices(self.database)
        self.secrets = Secrets(self.database)
        self.roster = RosterRows(self.database)
        self.anchors = AnchorRows(self.database)
        own = self.anchors.of(hub_source(config.school, config.hub_id)).boots.get(self.clock.boot())
        self.clock.rest_on([] if own is None else own.all())
        self.forward = ForwardRows(self.ledger, self.anchors, config.city.hold_ms)
        self.cards = CardRows(self.ledger, self.anchors)
        self.desk = Desk(
            config.school, self.ledger, self.devices, self.secrets, self.roster, self.cards, self.clock, self._own
        )

    def carry_out(self, action: str, words: Mapping[str, str | None]) -> Outcome:
        """See Desk.carry_out. A copy that says more than the ledger counts at a start, so it goes before it is wrong.

        Raises NeedsHands, OSError.
        """
        if action not in TAKING:
            return self.desk.carry_out(action, words)
        with self.copying:
            (self.path.parent / COPY_NAME).unlink(missing_ok=True)
            descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            return self.desk.carry_out(action, words)

    def _own(self) -> OwnJournal:
        return self.own or self.open_own_journal()

    def open_own_journal(self) -> OwnJournal:
        """Begin this run's journal of the hub's own records."""
        self.own = self._begin_journal()
        return self.own

    def _begin_journal(self) -> OwnJournal:
        source = hub_source(self.config.school, self.config.hub_id)
        return OwnJournal(
            self.ledger, self.anchors, self.secrets.identity(), source, self.clock, self.clock.boot(), VERSION
        )
