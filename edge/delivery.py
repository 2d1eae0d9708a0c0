"""The delivery: one thread that moves what is owed over the link, hears receipts, and keeps the hub told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, get_args

import msgspec

from edge.backlog import Backlog
from edge.bookreader import BookReader, RecordMissing
from edge.inbox import Inbox
from edge.journal import SqliteJournal
from edge.statement import Occasions, Statement, will_message
from edge.uplink import Heard, Uplink
from protocol.batch import encode_batch
from protocol.errors import BadMessage, JournalDamaged, JournalFailed, JournalFull, K12EdgeError
from protocol.receipts import decode_receipt
from protocol.signing import fingerprint, open_message, sign_message
from protocol.status import DeviceConfig, HubState, decode_body
from protocol.taps import StationKind
from protocol.time import Anchor
from protocol.topics import device_topic, hub_state_topic, roster_topic

if TYPE_CHECKING:
    from edge.clock import SystemClock
    from edge.devicekeys import DeviceKeys
    from edge.ports import Link
    from edge.rosterstore import RosterStore

log = logging.getLogger("k12edge.delivery")

HEALTH_MS: Final = 1_000
TEND_AGAIN_MS: Final = 5_000
FAILED_PAUSE_MS: Final = 1_000


class Delivery:
    """See the room.

    `vitals` gives the health part of the state message, `alarm` tells a person once per code. `prepare` is called
    before the file is first read (records of a damaged file come back), `broken` when the file can't be read as
    written, `upkeep` between two steps. `hears`: leaf of our own topics -> what takes its payload, signed as it came.
    """

    def __init__(
        self,
        *,
        school: str,
        device: str,
        version: str,
        journal: SqliteJournal,
        uplink: Uplink,
        link: Link | None,
        keys: DeviceKeys,
        rosters: RosterStore,
        clock: SystemClock,
        vitals: Callable[[], dict[str, object]],
        alarm: Callable[[str, str], None],
        anchored: Callable[[Anchor], None],
        prepare: Callable[[], None],
        broken: Callable[[], None],
        upkeep: Callable[[BookReader, Uplink, int], None],
        hears: Mapping[str, Callable[[bytes], bool]] | None = None,
    ) -> None:
        """Nothing starts yet. The first reader of the file is opened on the delivery's own thread."""
        self._school, self._device = school, device
        self._statement = Statement(version, journal.journal, uplink, keys, rosters, clock, vitals)
        self._journal, self._uplink, self._link = journal, uplink, link
        self._keys, self._rosters, self._clock = keys, rosters, clock
        self._alarm, self._anchored = alarm, anchored
        self._prepare, self._broken, self._upkeep = prepare, broken, upkeep
        self.backup_interval_s = 86_400
        self._receipts = device_topic(school, device, "receipt")
        self.inbox = Inbox(self._receipts, set(self.subscriptions(school, device, set(get_args(StationKind)))))
        self._hears = {device_topic(school, device, leaf): take for leaf, take in (hears or {}).items()}
        self.backlog = Backlog()
        self._early: dict[str, tuple[bytes, bool]] = {}
        self._reader: BookReader | None = None
        self._failed_until_ms = 0
        self._wake, self._stop = threading.Event(), threading.Event()
        self._connections = self._served = 0
        self._connected = False
        self._hub: HubState | None = None
        self._hub_said = b""
        self._occasions = Occasions()
        self._prepared = False
        self._tend_due_ms = 0
        self._salvaged: set[str] = set()
        self._taps = self._taps_seen = 0
        self._last_seen = 0
        self._stranger: str | None = None
        self.progress_mono_ns = clock.mono_ns()

    @staticmethod
    def subscriptions(school: str, device: str, kinds: set[StationKind]) -> list[str]:
        """What a gateway with stations of these kinds listens to."""
        topics = [device_topic(school, device, leaf) for leaf in ("receipt", "cmd", "cfg")]
        if "canteen" in kinds:
            topics += [device_topic(school, device, "sheet"), device_topic(school, "+", "served")]
        return [hub_state_topic(school), *topics, *(roster_topic(school, kind) for kind in sorted(kinds))]

    # --- called from other threads ----------------------------------------------------------------------------

    def tapped(self) -> None:
        """A tap was written: it is offered at once."""
        self._taps += 1
        self._wake.set()

    def use(self, link: Link) -> None:
        """Take the link that was made; before `run`."""
        self._link = link

    def on_message(self, topic: str, payload: bytes, retained: bool) -> None:
        """The link's thread hands over a message."""
        self.inbox.put(topic, payload, retained)
        self._wake.set()

    def on_state(self, connected: bool) -> None:
        """The link's thread tells whether it stands."""
        self._connected = connected
        if connected:
            self._connections += 1
            self._occasions.at_once = True
        self._wake.set()

    def news(self) -> None:
        """The hub should hear soon how the gateway is."""
        self._occasions.news = True
        self._wake.set()

    def nudge(self) -> None:
        """Something may be sendable again."""
        self._wake.set()

    def moved(self) -> None:
        """Long work goes on (the watchdog waits)."""
        self.progress_mono_ns = self._clock.mono_ns()

    def stop(self) -> None:
        """End `run` soon."""
        self._stop.set()
        self._wake.set()

    # --- the thread -------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Deliver until stopped. Storage errors are retried with a pause; nothing here can lose a record."""
        while not self._stop.is_set():
            wait_ms = self.turn()
            self._wake.wait(wait_ms / 1000)
            self._wake.clear()
        self._take_leave()
        self._close()

    def turn(self) -> int:
        """Do what is due, and say how long nothing else will be, in ms; whatever comes in asks for a turn at once."""
        now_ms = self._now_ms()
        self.moved()
        if now_ms < self._failed_until_ms:
            return self._failed_until_ms - now_ms
        try:
            reader = self._reader or self._begin()
            self._step(reader)
            now_ms = self._now_ms()
            due_ms = self._uplink.wake_ms()
            return HEALTH_MS if due_ms is None else max(10, min(HEALTH_MS, due_ms - now_ms))
        except K12EdgeError as problem:
            self._alarm(problem.code, str(problem))
        except Exception as problem:
            # A fault of ours: taps are recorded all the same, and delivery begins anew from the file.
            log.exception("the delivery failed")
            self._alarm("internal-fault", f"the delivery failed: {type(problem).__name__}")
        finally:
            self.moved()
        self._close()
        self._failed_until_ms = self._now_ms() + FAILED_PAUSE_MS
        return FAILED_PAUSE_MS

    def _begin(self) -> BookReader:
        """Read the file anew: what is owed is what stands there."""
        self._prepared = False
        self._tend_due_ms = 0
        self._try_prepare()
        self._reader = BookReader(self._journal.path)
        self._load(self._reader)
        return self._reader

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _take_leave(self) -> None:
        """A clean end makes the broker drop the will, so we say it ourselves."""
        if self._connected and self._link is not None:
            self._link.publish(*will_message(self._school, self._device, self._keys), retain=True)

    def _load(self, reader: BookReader) -> None:
        self._salvaged = set()
        for row in reader.journals():
            if row.salvaged:
                self._salvaged.add(row.journal)
            self._uplink.add_journal(
                row.journal,
                row.last,
                row.pruned_through + 1,
                row.hub,
                row.city,
                running=row.journal == self._journal.journal,
                salvaged=row.salvaged,
            )
        self._last_seen = 0
        self._occasions.at_once = True

    def _now_ms(self) -> int:
        return self._clock.mono_ns() // 1_000_000

    def _step(self, reader: BookReader) -> None:
        now_ms = self._now_ms()
        for topic, payload, retained in self._received():
            self._handle(reader, topic, payload, retained)
        last, taps = self._journal.last, self._taps
        if last != self._last_seen or taps != self._taps_seen:
            # A tap is told a moment after it stands in the file, so a turn between the two sees only the record.
            self._uplink.wrote(self._journal.journal, last, now_ms, tap=taps != self._taps_seen)
            self._last_seen, self._taps_seen = last, taps
        if self._connected and self._link is not None:
            # The state names our key: a hub that meets us for the first time can't take records before it.
            self._say_state(reader, now_ms)
            self._offer(reader)
        if self._hears:
            self.backlog.look(reader, self._uplink, link=self._connected and self._hub is not None)
        if self._uplink.silent(now_ms):
            self._alarm("nothing-receipted", "the hub is ready and receipts nothing; check the broker's permissions")
        if now_ms >= self._tend_due_ms:
            self._tend(reader, now_ms)

    def _tend(self, reader: BookReader, now_ms: int) -> None:
        """Write what isn't a tap. On a full disk or a failing card that waits; offering and receipts go on."""
        try:
            if not self._prepared and self._try_prepare():
                self._load(reader)
            self._journal.flush_marks()
            if self._journal.head_due():
                self._journal.sign_head()
            self._upkeep(reader, self._uplink, now_ms)
        except (JournalFull, JournalFailed) as problem:
            self._tend_due_ms = now_ms + TEND_AGAIN_MS
            self._alarm(problem.code, str(problem))

    def _try_prepare(self) -> bool:
        try:
            self._prepare()
            self._prepared = True
        except K12EdgeError as problem:
            self._alarm(problem.code, f"records of a damaged file can't come back yet: {problem}")
            if isinstance(problem, JournalDamaged):
                self._broken()
        return self._prepared

    def _say_state(self, reader: BookReader, now_ms: int) -> None:
        """Say how we are when it is time."""
        owing = self._uplink.owed() > 0
        if not self._occasions.due(now_ms, owing=owing, unasked=self._uplink.unasked()):
            return
        # Before the statement is made: a connection that comes meanwhile asks for another.
        self._occasions.at_once = self._occasions.news = False
        if self._published(reader):
            self._occasions.told(now_ms, owing=owing)
        else:
            self._occasions.at_once = True

    def _offer(self, reader: BookReader) -> None:
        assert self._link is not None
        for offer in self._uplink.next_offers(self._now_ms()):
            try:
                lines = reader.lines(offer.journal, offer.first, offer.last)
            except JournalDamaged as problem:
                held = reader.next_held(offer.journal, offer.first) or offer.last + 1
                self._uplink.unreadable(offer.journal, offer.first, max(offer.first, held - 1))
                self._uplink.refused_by_link(offer)
                self._wake.set()
                # What a salvaged journal lacks was named when it came back.
                if type(problem) is not RecordMissing or offer.journal not in self._salvaged:
                    self._alarm("journal-damaged", str(problem))
                if not isinstance(problem, RecordMissing):
                    self._broken()
                continue
            if len(lines) < offer.last - offer.first + 1:
                self._uplink.shortened(offer, offer.first + len(lines) - 1)
                self._wake.set()
            payload = encode_batch(self._keys.identity, offer.journal, offer.first, lines)
            if not self._link.publish(device_topic(self._school, self._device, "ev"), payload):
                self._uplink.refused_by_link(offer)

    # --- what the hub says ------------------------------------------------------------------------------------

    def _received(self) -> Iterator[tuple[str, bytes, bool]]:
        """What came since the last look. Before a hub is met nobody's word can be checked: it waits until then."""
        state = hub_state_topic(self._school)
        latest = self.inbox.latest()
        if not self._connected or self._connections != self._served:
            # After the messages were taken, so that the hub's word on a new connection isn't forgotten with the old.
            self._served = self._connections
            self._uplink.disconnected()
            self._hub = None
        if state in latest:
            yield (state, *latest.pop(state))
        if self._keys.hub_key is None:
            self._early |= latest
            return
        early, self._early = self._early, {}
        for topic, (payload, retained) in (early | latest).items():
            yield topic, payload, retained
        yield from self.inbox.receipts()

    def _handle(self, reader: BookReader, topic: str, payload: bytes, retained: bool) -> None:
        try:
            if topic == hub_state_topic(self._school):
                self._hear_hub(payload)
            elif topic == self._receipts:
                self._hear_receipt(reader, self._opened(topic, payload), retained=retained)
            elif topic == device_topic(self._school, self._device, "cfg"):
                self._occasions.at_once |= self._keys.configure(decode_body(self._opened(topic, payload), DeviceConfig))
            elif topic in self._hears:
                self._occasions.at_once |= self._hears[topic](payload)
            else:
                for kind in get_args(StationKind):
                    mine = topic == roster_topic(self._school, kind)
                    if mine and self._rosters.take(kind, self._opened(topic, payload)):
                        # Staff see at once which gateways know of a lost card.
                        self._occasions.at_once = True
        except BadMessage as problem:
            self._alarm(problem.code, f"a message on {topic} is refused: {problem}")
        except OSError as problem:
            self._alarm("journal-full", f"a message on {topic} can't be kept: {problem}")

    def _opened(self, topic: str, payload: bytes) -> bytes:
        key = self._keys.hub_key
        if key is None:
            raise BadMessage("no hub was met yet")
        return open_message(key, topic, payload)

    def _hear_hub(self, payload: bytes) -> None:
        if not payload or (self._hub is not None and payload == self._hub_said):
            # Nothing, or what it says every few seconds.
            return
        state = decode_body(payload, HubState)
        self._keys.vouch(state)
        if state.state != "ready":
            self._hub = None
            self._uplink.connected(self._now_ms(), ready=False, epoch=None)
            return
        if not self._keys.meet_hub(state):
            if self._stranger != state.key:
                self._stranger = state.key
                self._alarm("foreign-hub", f"another hub answers here: {fingerprint(state.key)}")
            return
        if self._hub is None:
            log.info("hub ready, fingerprint %s", fingerprint(state.key))
        if self._hub is None or self._hub.epoch != state.epoch:
            self._occasions.at_once = True
        self._hub, self._hub_said = state, payload
        self.backup_interval_s = state.backup_interval_s
        self._uplink.connected(self._now_ms(), ready=True, epoch=state.epoch)

    def _hear_receipt(self, reader: BookReader, body: bytes, *, retained: bool) -> None:
        receipt = decode_receipt(body)
        if receipt.time is not None and not retained and receipt.time.echo_boot == self._clock.boot:
            anchor = self._clock.hear_hub(receipt.time.echo_mono, receipt.time.hub, receipt.time.err)
            if anchor is not None:
                self._anchored(anchor)

        def digest_at(journal: str, sequence: int) -> str | None:
            try:
                return reader.digest_at(journal, sequence)
            except K12EdgeError as problem:
                self._uplink.unreadable(journal, sequence, sequence)
                self._alarm(problem.code, str(problem))
                return None

        heard: Heard = self._uplink.receipt(receipt, digest_at, self._now_ms(), retained=retained)
        self._occasions.confirmed |= heard.confirmed > 0
        for change in heard.settled:
            self._journal.settle(change.journal, change.hub, change.city)
        for code in heard.alarms:
            self._alarm(code, "the hub's receipt is not about our records")

    def _published(self, reader: BookReader) -> bool:
        assert self._link is not None
        topic = device_topic(self._school, self._device, "state")
        state = self._statement.made(reader, self._connections)
        signed = sign_message(self._keys.identity, topic, msgspec.json.encode(state))
        if not self._link.publish(topic, signed, retain=True):
            return False
        self._uplink.told(state.journals)
        return True
