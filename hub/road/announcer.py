"""The announcer: what a hub says for brokers to keep - state, rosters, configurations - and says again when unheard.

A broker may drop what is published while a gateway's subscription is being made (nats-server with an emptied store
does). So the hub says every few seconds that it is ready, sends a gateway its configuration at each of its
connections, and publishes the rosters again while a connected gateway names another release.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from hub.roster import release_for
from protocol.errors import K12EdgeError
from protocol.roster import PACKED_BYTES_MAX, pack_release
from protocol.signing import Identity, seal, sign_message
from protocol.status import DeviceConfig, HubState, hub_text
from protocol.taps import STATION_KINDS
from protocol.topics import device_topic, hub_state_topic, roster_topic

if TYPE_CHECKING:
    from hub.config import HubConfig
    from hub.parts import Store
    from hub.ports import Link
    from hub.road.fleet import Fleet

log = logging.getLogger("k12edge.announcer")

READY_EVERY_S: Final = 10.0
"""How often the hub says that it is ready; one that isn't known to be gets no taps."""
GATHER_S: Final = 0.5
"""Releases made at once, card by card, are said together."""
REMIND_LOOKS: Final = 3
"""Looks, one each READY_EVERY_S, after which a gateway that still names another release is helped."""
DAY_S: Final = 86_400
REMIND_LOOKS_MAX: Final = 360
"""One hour: a gateway that can't take the rosters mustn't have them sent to everybody all day."""


class Reminder:
    """When to publish the rosters again: soon at first, then ever more rarely while it doesn't help."""

    def __init__(self) -> None:
        """Nobody is behind."""
        self._looks = 0
        self._patience = REMIND_LOOKS

    def due(self, behind: bool) -> bool:
        """One look; whether to publish now."""
        if not behind:
            self._looks, self._patience = 0, REMIND_LOOKS
            return False
        self._looks += 1
        if self._looks < self._patience:
            return False
        self._looks, self._patience = 0, min(self._patience * 2, REMIND_LOOKS_MAX)
        return True


class Announcer:
    """One thread, `run`, until `stop`. Others may call `now`, `rosters` and `configuration`."""

    def __init__(self, config: HubConfig, epoch: str, identity: Identity, store: Store, fleet: Fleet) -> None:
        """Silent until a link is given by `use`."""
        self._school, self._epoch, self._identity = config.school, epoch, identity
        self._with_city = config.city.answers
        self._store, self._fleet = store, fleet
        self._link: Link | None = None
        self._wake, self._stopped = threading.Event(), threading.Event()
        # What is read first is said first: brokers keep the last, and three threads come here.
        self._of_rosters, self._of_configurations = threading.Lock(), threading.Lock()
        self._voice = threading.Lock()
        self._reminder = Reminder()
        self._missed = False
        self._anew = self._changed = False
        self.backup_interval_s: Callable[[], int] = lambda: DAY_S
        """How long the hub really goes without a backup: gateways keep their records for longer than that."""
        self.progress = 0
        """Turns taken: the watchdog's pulse."""

    def use(self, link: Link) -> None:
        """Speak by this link."""
        self._link = link

    def state(self, state: str) -> tuple[str, bytes]:
        """Topic and body of hub/state."""
        mine = self._identity
        body = HubState(state, self._epoch, mine.key, mine.box, self.backup_interval_s(), city=self._with_city)
        signed = replace(body, sig=mine.sign(hub_text(body)))
        return hub_state_topic(self._school), msgspec.json.encode(signed)

    def now(self) -> None:
        """Say everything again: the link is new."""
        self._anew = True
        self._wake.set()

    def rosters_due(self) -> None:
        """A new release was made; more may follow at once, while a class gets its cards."""
        self._changed = True
        self._wake.set()

    def stop(self) -> None:
        """Have `run` return; nothing is said any more, so that a farewell is the last word."""
        with self._voice:
            self._stopped.set()
        self._wake.set()

    def run(self) -> None:
        """Announce after each connect; in between, what must be said again."""
        while True:
            self._wake.wait(READY_EVERY_S)
            # Cleared before it is looked for what there is: what comes meanwhile is seen in the next round.
            self._wake.clear()
            if self._changed and not self._anew:
                self._stopped.wait(GATHER_S)
            if self._stopped.is_set():
                return
            anew = self._anew
            if anew:
                # Only what was seen is taken back: a link that comes between two lines is seen in the next round.
                self._anew = False
            self.turn(anew=anew)

    def turn(self, *, anew: bool) -> None:
        """Say that the hub is ready; all the rest too on a new link, or what a gateway lacks."""
        self.progress += 1
        anew, self._missed = anew or self._missed, False
        changed = self._changed
        if changed:
            self._changed = False
        try:
            self._publish(*self.state("ready"))
            if anew or changed or self._reminder.due(self._anyone_behind()):
                self.rosters()
            if anew:
                self._configurations()
        except K12EdgeError as problem:
            self._missed = anew or changed
            log.error("the announcements failed: %s", problem)
        except Exception as problem:
            self._missed = anew or changed
            # A hub that no longer says that it is ready gets no taps.
            log.exception("the announcements failed")
            self._store.database.met(problem)

    def _anyone_behind(self) -> bool:
        with self._store.database.lock:
            release = self._store.roster.current()
        return release is not None and self._fleet.behind(release[1])

    def _publish(self, topic: str, body: bytes) -> None:
        with self._voice:
            if self._link is not None and not self._stopped.is_set():
                self._link.publish(topic, body)

    def rosters(self) -> None:
        """The release in force, for each kind of station. Raises K12EdgeError."""
        with self._of_rosters:
            self._rosters()

    def _rosters(self) -> None:
        with self._store.database.lock:
            release = self._store.roster.current()
            rows, lost = self._store.releases.rows(), self._store.releases.lost()
            keys = self._store.secrets.card_keys()
            partials = self._store.roster.partials()
        if release is None:
            return
        for kind in STATION_KINDS:
            topic = roster_topic(self._school, kind)
            body = pack_release(release_for(kind, rows, keys, self._school, *release, partials, lost))
            if len(body) > PACKED_BYTES_MAX:
                # Brokers end the connection of whoever sends more, again and again: then nothing would go any more.
                log.error("the roster for %s has %d bytes packed, at most %d travel", kind, len(body), PACKED_BYTES_MAX)
                continue
            self._publish(topic, sign_message(self._identity, topic, body))

    def _configurations(self) -> None:
        with self._store.database.lock:
            devices = [device.device for device in self._store.devices.all() if device.accepted_key() is not None]
        for device in devices:
            self.configuration(device)

    def configuration(self, device: str) -> None:
        """The school's card keys, sealed to the device's accepted key, if it has one. Raises K12EdgeError."""
        with self._of_configurations:
            self._configuration(device)

    def _configuration(self, device: str) -> None:
        store = self._store
        with store.database.transaction():
            found = store.devices.find(device)
            key = None if found is None or found.standing != "accepted" else found.accepted_key()
            if found is None or key is None:
                return
            version = found.config_version or store.devices.next_config_version(device, store.clock.now_ms())
            keys = [(card_key.number, seal(key.box, card_key.secret)) for card_key in store.secrets.card_keys()]
        topic = device_topic(self._school, device, "cfg")
        self._publish(topic, sign_message(self._identity, topic, msgspec.json.encode(DeviceConfig(version, keys))))
