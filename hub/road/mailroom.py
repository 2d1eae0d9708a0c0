"""The mailroom: takes device messages in groups, one transaction each, then acknowledges and sends receipts."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from hub.road.reception import Followups
from hub.store.database import LedgerFailed, LedgerFull
from protocol.errors import K12EdgeError
from protocol.topics import parse_device_topic

if TYPE_CHECKING:
    from hub.clock import HubClock
    from hub.ports import Link, Message
    from hub.road.receipts import Receipts
    from hub.road.reception import Reception
    from hub.store.ledger import Ledger
    from hub.store.ownjournal import OwnJournal
    from protocol.status import DeviceState

log = logging.getLogger("k12edge.mailroom")

WAITING_MAX: Final = 64
"""Messages taken from the broker and not yet in the ledger: at most 33 MB; then the link's thread waits."""
GROUP_MAX: Final = 32
RECEIPT_EVERY_MS: Final = 20
"""Under load one receipt a device in this time; the last commit always gets its own."""
CITY_RECEIPT_EVERY_MS: Final = 2_000
"""Nobody waits for the city's marks (they let a gateway prune), so in a crowd they ride with the next tap's receipt."""
FAILED_PAUSE_MS: Final = 1_000
IDLE_MS: Final = 1_000


class Mailroom:
    """One thread, `run`. `send_config` publishes a device's configuration after it was accepted."""

    def __init__(
        self,
        school: str,
        ledger: Ledger,
        reception: Reception,
        receipts: Receipts,
        own: OwnJournal,
        clock: HubClock,
        send_config: Callable[[str], None],
        on_records: Callable[[], None],
        on_roster: Callable[[], None],
    ) -> None:
        """`on_records` is told when new records were committed, `on_roster` that a new release was made."""
        self._school = school
        self._ledger, self._reception, self._receipts, self._own = ledger, reception, receipts, own
        self._clock, self._send_config = clock, send_config
        self._on_records, self._on_roster = on_records, on_roster
        self._inbox: queue.Queue[Message | None] = queue.Queue(WAITING_MAX)
        self._link: Link | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._due: dict[str, set[str]] = {}
        self._due_ms: dict[str, int] = {}
        self._asking: dict[str, DeviceState] = {}
        self._sent_ms: dict[str, int] = {}
        self._pause_ms = 0
        self.progress = 0
        self.failed: str | None = None

    def use(self, link: Link) -> None:
        """Receipts go out by this link."""
        self._link = link

    def on_message(self, message: Message) -> None:
        """The link's thread hands over; blocks while WAITING_MAX wait."""
        while not self._stopping.is_set():
            try:
                self._inbox.put(message, timeout=0.2)
            except queue.Full:
                continue
            return

    def receipt_due(self, device: str, *journals: str, within_ms: int = CITY_RECEIPT_EVERY_MS) -> None:
        """A device shall hear of what changed, not at once (the city answered, a person accepted it)."""
        due_ms = self._clock.mono_ms() + within_ms
        with self._lock:
            self._due.setdefault(device, set()).update(journals)
            self._due_ms[device] = min(due_ms, self._due_ms.get(device, due_ms))

    def stop(self) -> None:
        """End `run` after the group under way."""
        self._stopping.set()
        try:
            self._inbox.put_nowait(None)
        except queue.Full:
            return

    def run(self) -> None:
        """Take messages until stopped."""
        while not self._stopping.is_set():
            try:
                pause_ms = self.turn(self._first(self.wait_ms()))
            except Exception as problem:
                # A hub that hears nobody any more would look well: what was under way is offered again.
                log.exception("the mailroom failed")
                self._ledger.database.met(problem)
                pause_ms = FAILED_PAUSE_MS
            if pause_ms:
                self._stopping.wait(pause_ms / 1000)

    def wait_ms(self) -> int:
        """How long there will be nothing to do unless a message comes, in ms."""
        if self._reception.replaying:
            return 0
        with self._lock:
            due_ms = min(self._due_ms.values(), default=None)
        return IDLE_MS if due_ms is None else max(0, min(IDLE_MS, due_ms - self._clock.mono_ms()))

    def _first(self, wait_ms: int) -> Message | None:
        try:
            return self._inbox.get(timeout=wait_ms / 1000) if wait_ms else self._inbox.get_nowait()
        except queue.Empty:
            return None

    def turn(self, first: Message | None = None) -> int:
        """Take `first` and what waits behind it, answer what is due; the ms to pause where the ledger takes nothing."""
        self.progress += 1
        self._pause_ms = 0
        group = self._group(first)
        if group:
            self._take(group)
        if self._reception.replaying:
            self._replay()
        self._send_receipts()
        self._tend()
        return self._pause_ms

    def _group(self, first: Message | None) -> list[Message]:
        group = [] if first is None else [first]
        while len(group) < GROUP_MAX:
            try:
                message = self._inbox.get_nowait()
            except queue.Empty:
                break
            if message is None:
                break
            group.append(message)
        return group

    # --- one group ----------------------------------------------------------------------------------------------------

    def _take(self, group: list[Message]) -> None:
        try:
            follow = self._transact(group)
        except (LedgerFull, LedgerFailed) as problem:
            # Nothing of the group is stored and nothing is receipted: the gateways offer it again.
            self._fail(problem)
            follow = Followups()
        except Exception:
            log.exception("a group of %d messages failed; each is taken by itself", len(group))
            follow = self._take_singly(group)
        for message in group:
            if self._link is not None and message.connection >= 0:
                self._link.acknowledge(message)
        self._follow(follow)

    def _transact(self, group: list[Message]) -> Followups:
        follow = Followups()
        with self._writing():
            # States first, as they came: they name the keys that records are signed with; brokers may reorder topics.
            for message in sorted(group, key=lambda message: message.topic.endswith("/ev")):
                self._take_one(message, follow)
        return follow

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction; one that wrote something proves that the ledger takes records again, others prove nothing."""
        with self._ledger.database.transaction() as connection:
            before = connection.total_changes
            yield
            wrote = connection.total_changes > before
        if wrote:
            self.failed = None

    def _replay(self) -> None:
        """Batches that waited for their device's acceptance, some at a time: live ones go between."""
        follow = Followups()
        try:
            with self._writing():
                self._reception.replay_some(follow)
        except (LedgerFull, LedgerFailed) as problem:
            self._fail(problem)
            return
        self._follow(follow)

    def _take_one(self, message: Message, follow: Followups) -> None:
        topic = parse_device_topic(message.topic)
        if topic is None or topic.school != self._school:
            self._reception.park_misaddressed(message.topic, message.payload)
            return
        if topic.leaf == "ev":
            self._reception.take_batch(topic.device, message.payload, follow)
        elif topic.leaf == "state":
            self._reception.take_state(topic.device, message.payload, follow, kept=message.kept)

    def _take_singly(self, group: list[Message]) -> Followups:
        """One message of the group meets a fault of ours: the others mustn't suffer, its bytes mustn't be lost."""
        together = Followups()
        for message in group:
            try:
                follow = self._transact([message])
            except (LedgerFull, LedgerFailed) as problem:
                self._fail(problem)
                continue
            except Exception as problem:
                log.exception("a message on %s could not be handled", message.topic)
                self._park(message, problem)
                continue
            for device, journals in follow.receipts.items():
                together.receipt(device, *journals)
            together.configs |= follow.configs
            together.answer_states |= follow.answer_states
            together.new_records += follow.new_records
            together.rosters |= follow.rosters
        return together

    def _park(self, message: Message, problem: Exception) -> None:
        topic = parse_device_topic(message.topic)
        try:
            with self._ledger.database.transaction():
                self._reception.park_unhandled("-" if topic is None else topic.device, message.payload, problem)
        except K12EdgeError as second:
            self._fail(second)

    def _fail(self, problem: K12EdgeError) -> None:
        if self.failed is None:
            log.error("the ledger takes nothing: %s", problem)
        self.failed = problem.code
        self._pause_ms = FAILED_PAUSE_MS

    def _follow(self, follow: Followups) -> None:
        now_ms = self._clock.mono_ms()
        with self._lock:
            for device, journals in follow.receipts.items():
                self._due.setdefault(device, set()).update(journals)
                self._due_ms[device] = min(
                    self._due_ms.get(device, now_ms + RECEIPT_EVERY_MS),
                    self._sent_ms.get(device, 0) + RECEIPT_EVERY_MS,
                )
            self._asking |= follow.answer_states
        for device in follow.configs:
            self._send_config(device)
        if follow.new_records:
            self._on_records()
        if follow.rosters:
            self._on_roster()

    # --- receipts -----------------------------------------------------------------------------------------------------

    def _send_receipts(self) -> None:
        now_ms = self._clock.mono_ms()
        with self._lock:
            ready = [device for device, due_ms in self._due_ms.items() if due_ms <= now_ms]
            jobs = []
            for device in ready:
                del self._due_ms[device]
                jobs.append((device, self._due.pop(device), self._asking.pop(device, None)))
        for device, journals, state in jobs:
            asked = [*journals, *(state.journals if state is not None else ())]
            with self._ledger.database.lock:
                topic, payloads = self._receipts.messages(device, asked, state)
            # Not sent (no connection): the gateway will connect, say its state and be answered.
            if self._link is not None and all([self._link.publish(topic, payload) for payload in payloads]):
                self._sent_ms[device] = now_ms

    def _tend(self) -> None:
        if self._own.head_due():
            try:
                with self._writing():
                    self._own.sign_head()
            except K12EdgeError as problem:
                self._fail(problem)
