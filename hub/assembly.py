"""The hub's rooms put together, without thread, socket or broker: `app` runs them, and so may a simulation."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Final, Protocol

from hub.backups.archivist import Archivist
from hub.backups.regainer import Regainer
from hub.cards.inspector import Inspector
from hub.days.marker import Marker
from hub.forwarding.forwarder import Forwarder
from hub.forwarding.owing import Forwarding
from hub.parents.messenger import Messenger
from hub.parents.notices import Notices
from hub.parents.sinks import open_sink
from hub.parts import VERSION, Store
from hub.road.announcer import Announcer
from hub.road.counters import Counters
from hub.road.fleet import Fleet
from hub.road.mailroom import Mailroom
from hub.road.receipts import Receipts
from hub.road.reception import Reception
from hub.rostersync.puller import Puller, pulled

if TYPE_CHECKING:
    from hub.cards.sun import SunKeys
    from hub.config import HubConfig
    from hub.ports import City, CityAudit, CityRoster, Link
    from hub.store.ownjournal import OwnJournal

WELCOME_MS: Final = 250
"""A person who accepted a gateway looks at its light."""


class Thread(Protocol):
    """What has a thread of its own; see hub/worker.py."""

    @property
    def progress(self) -> int:
        """Turns taken: the watchdog's pulse."""

    def run(self) -> None:
        """Work until stopped."""

    def stop(self) -> None:
        """End `run` soon."""


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
        city_roster: CityRoster | None = None,
        audit: CityAudit | None = None,
    ) -> None:
        """Put the rooms around an open store. Raises LedgerFull, LedgerFailed, ConfigError.

        `own` is this run's own journal where it is open already; `sun_keys`: those that cards' proofs are checked with;
        `city_roster`: where the roster is pulled; `audit` reads back what the city holds. `again` is called when the
        ledger must be opened anew: this assembly is to be closed, and another made.
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
            with_city=config.city.answers,
        )
        self.announcer = Announcer(config, self.epoch, self.identity, store, self.fleet)
        self.counters = Counters(config.school, self.identity, store, self.fleet)
        self.mailroom = Mailroom(
            config.school,
            store.ledger,
            self.reception,
            receipts,
            self.own,
            store.clock,
            self._greet,
            self._on_records,
            self.announcer.now,
        )
        self.inspector = Inspector(config, store, sun_keys)
        store.office.on_entered = self._on_entered
        self.forwarder = None if city is None else self._forwarder(city)
        self.archivist = Archivist(config, store, self.own, VERSION)
        self.announcer.backup_interval_s = self.archivist.interval_s
        self.regainer = None if audit is None else Regainer(store, audit, self._on_records)
        self.puller = None if city_roster is None else self._puller(city_roster)
        self.messenger = self._messenger()
        store.kitchen.on_locked = self._on_records
        self.marker = Marker(store, self._on_records) if config.city.answers else None

    @property
    def workers(self) -> dict[str, Thread]:
        """What a running hub gives a thread each, in the order in which they end."""
        found: dict[str, Thread | None] = {
            "mailroom": self.mailroom,
            "forwarder": self.forwarder,
            "puller": self.puller,
            "inspector": self.inspector,
            "daybook": self.store.daybook,
            "archivist": self.archivist,
            "regainer": self.regainer,
            "messenger": self.messenger,
            "marker": self.marker,
            "kitchen": self.store.kitchen,
            "counters": self.counters,
            "announcer": self.announcer,
        }
        return {name: worker for name, worker in found.items() if worker is not None}

    def _forwarder(self, city: City) -> Forwarder:
        store, rng = self.store, Random(secrets.randbits(64))
        return Forwarder(store.ledger, store.forward, Forwarding(rng), city, store.clock, self.mailroom.receipt_due)

    def _puller(self, city: CityRoster) -> Puller:
        store, rng = self.store, Random(secrets.randbits(64))
        school = self.config.school
        return Puller(school, store.ledger, store.sync, store.mirror, city, store.clock, rng, self.announcer.rosters)

    def _messenger(self) -> Messenger | None:
        """Whoever tells parents, where the school has them told. Raises ConfigError."""
        config, store = self.config, self.store
        sink = open_sink(config.messages)
        if sink is None:
            return None
        notices, rng = Notices(store, store.messages), Random(secrets.randbits(64))
        return Messenger(
            config.school,
            store.database,
            store.messages,
            sink,
            store.clock,
            rng,
            notices.look,
            notices.person,
            config.messages.kinds,
        )

    def use(self, link: Link) -> None:
        """Speak by this link."""
        self.mailroom.use(link)
        self.announcer.use(link)
        self.counters.use(link)

    def on_link(self, connected: bool) -> None:
        """The link stands, or is gone."""
        if connected:
            self._say_all()
        else:
            self.fleet.broker_lost()

    def _say_all(self) -> None:
        """Everything that brokers keep is to be said again."""
        self.announcer.now()
        self.counters.now()

    def _greet(self, device: str) -> None:
        """A gateway has connected: what it needs is said to it again."""
        self.announcer.configuration(device)
        self.counters.greet(device)

    def _on_records(self) -> None:
        self.wake_forwarder()
        self.inspector.wake()
        self.store.daybook.wake()
        if self.messenger is not None:
            self.messenger.wake()

    def _on_entered(self, roster: bool) -> None:
        self._on_records()
        if roster:
            self.announcer.rosters_due()

    def wake_forwarder(self) -> None:
        """There may be something new for the city."""
        if self.forwarder is not None:
            self.forwarder.wake()

    # --- what people ask ----------------------------------------------------------------------------------------------

    def carry(self, action: str, words: Mapping[str, str | None]) -> tuple[str, bytes | None]:
        """Do what a command asks, and tell the gateways; see control.Carry. Raises NeedsHands."""
        if action == "roster-pull" and self.puller is not None:
            return pulled(self.puller, words), None
        outcome = self.store.carry_out(action, words)
        for device in outcome.accepted:
            self._welcome(device)
        if outcome.roster:
            self.announcer.rosters()
        if outcome.records:
            self.wake_forwarder()
        if outcome.backup:
            self.archivist.noted()
        if outcome.regain and self.regainer is not None:
            self.regainer.wake()
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
