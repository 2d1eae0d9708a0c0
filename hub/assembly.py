"""The hub's rooms put together, without thread, socket or broker: `app` runs them, and so may a simulation."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Final

from hub.announcer import Announcer
from hub.fleet import Fleet
from hub.forwarder import Forwarder
from hub.forwarding import Forwarding
from hub.inspector import Inspector
from hub.mailroom import Mailroom
from hub.parts import Store
from hub.receipts import Receipts
from hub.reception import Reception

if TYPE_CHECKING:
    from hub.config import HubConfig
    from hub.ports import City, Link
    from hub.store.ownjournal import OwnJournal
    from hub.sun import SunKeys

WELCOME_MS: Final = 250
"""A person who accepted a gateway looks at its light."""


class Assembly:
    """See the room. The data directory is the caller's: made, and locked."""

    def __init__(
        self,
        config: HubConfig,
        store: Store,
        city: City | None,
        again: Callable[[], None],
        own: OwnJournal | None = None,
        sun_keys: SunKeys | None = None,
    ) -> None:
        """Put the rooms around an open store. Raises LedgerFull, LedgerFailed.

        `own` is this run's own journal where it is open already; `sun_keys`: those that cards' proofs are checked with.
        `again` is called when the ledger must be opened anew: this assembly is to be closed, and another made.
        """
        self.config, self.store = config, store
        self._again = again
        store.database.on_damage = again
        self.identity = store.secrets.identity()
        self.own = own or store.open_own_journal()
        self.epoch = secrets.token_hex(8)
        self.fleet = Fleet()
        self.reception = Reception(
            config.school,
            store.ledger,
            store.devices,
            store.secrets,
            store.roster,
            self.fleet,
            self.own,
            store.anchors,
            store.clock,
        )
        receipts = Receipts(
            config.school,
            self.epoch,
            store.ledger,
            store.devices,
            self.identity,
            store.clock,
            with_city=config.city.kind != "none",
        )
        self.announcer = Announcer(config, self.epoch, self.identity, store, self.fleet)
        self.mailroom = Mailroom(
            config.school,
            store.ledger,
            self.reception,
            receipts,
            self.own,
            store.clock,
            self.announcer.configuration,
            self._on_records,
            self.announcer.now,
        )
        self.inspector = Inspector(config, store, sun_keys)
        self.forwarder = None if city is None else self._forwarder(city)

    def _forwarder(self, city: City) -> Forwarder:
        store, rng = self.store, Random(secrets.randbits(64))
        return Forwarder(store.ledger, store.forward, Forwarding(rng), city, store.clock, self.mailroom.receipt_due)

    def use(self, link: Link) -> None:
        """Speak by this link."""
        self.mailroom.use(link)
        self.announcer.use(link)

    def on_link(self, connected: bool) -> None:
        """The link stands, or is gone."""
        if connected:
            self.announcer.now()
        else:
            self.fleet.broker_lost()

    def _on_records(self) -> None:
        self.wake_forwarder()
        self.inspector.wake()

    def wake_forwarder(self) -> None:
        """There may be something new for the city."""
        if self.forwarder is not None:
            self.forwarder.wake()

    # --- what people ask ----------------------------------------------------------------------------------------------

    def carry(self, action: str, words: Mapping[str, str | None]) -> tuple[str, bytes | None]:
        """Do what a command asks, and tell the gateways; see control.Carry. Raises NeedsHands."""
        outcome = self.store.carry_out(action, words)
        for device in outcome.accepted:
            self._welcome(device)
        if outcome.roster:
            self.announcer.rosters()
        if outcome.records:
            self.wake_forwarder()
        if outcome.keys:
            # Another identity: every part that holds the old one begins anew.
            self._again()
        return outcome.text, outcome.paper

    def _welcome(self, device: str) -> None:
        with self.store.database.transaction():
            found = self.store.devices.find(device)
            if found is not None and found.accepted_key() is not None:
                self.store.devices.next_config_version(device, self.store.clock.now_ms())
            self.reception.replay_soon(device)
        self.announcer.configuration(device)
        self.mailroom.receipt_due(device, within_ms=WELCOME_MS)
