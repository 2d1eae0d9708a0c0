"""The desk: what people ask of a hub - rosters, devices, keys - done in one transaction each, answered in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from hub.clock import HubClock
from hub.days.office import Office
from hub.days.rederiving import Rederiving
from hub.papers import unwrapped
from hub.releases import Releases
from hub.rostersync.pull import NotPulled
from hub.store.cardrows import CardRows
from hub.store.devices import Device, Devices
from hub.store.ledger import Ledger
from hub.store.notes import BackedUp, Notes, Regain, decoded
from hub.store.ownjournal import OwnJournal
from hub.store.secrets import Secrets
from protocol.cardforms import number_plan
from protocol.errors import NeedsHands
from protocol.signing import fingerprint
from protocol.taps import SLUG

STANDINGS: Final[Mapping[str, str]] = {
    "pending": "chờ duyệt / pending",
    "accepted": "đã duyệt / accepted",
    "retired": "đã ngừng / retired",
}


class AskedWrongly(NeedsHands):
    """The desk doesn't know what was asked."""

    code = "asked-wrongly"
    hint = "See k12edge hub --help."


@dataclass(slots=True)
class Outcome:
    """What was done, in words, and what a running hub has to tell: devices accepted, a new roster, new keys,
    `records` of the hub's own, a `backup` that was made, `regain` what the city holds.

    `paper` is what the person gets as a file.
    """

    text: str
    paper: bytes | None = None
    accepted: list[str] = field(default_factory=list)
    roster: bool = False
    keys: bool = False
    records: int = 0
    backup: bool = False
    regain: bool = False


class Desk:
    """See the room. Works on the store; a running hub tells the gateways afterwards."""

    def __init__(
        self,
        school: str,
        ledger: Ledger,
        devices: Devices,
        secrets: Secrets,
        releases: Releases,
        office: Office,
        cards: CardRows,
        clock: HubClock,
        own: Callable[[], OwnJournal],
    ) -> None:
        """Serve one hub. `own` gives the hub's own journal, begun where none is."""
        self.own = own
        self._school, self._clock = school, clock
        self._ledger, self._devices, self._secrets, self._releases = ledger, devices, secrets, releases
        self._office = office
        self._cards = cards

    def carry_out(self, action: str, words: Mapping[str, str | None]) -> Outcome:
        """Do one of ACTIONS. Raises NeedsHands; then nothing was changed."""
        work = ACTIONS.get(action)
        if work is None:
            raise AskedWrongly(f"{action!r} is not known here")
        return work(self, words)

    def rederiving(self, device: str, station: str) -> Rederiving:
        """One reader's taps, to be read again. Raises ReaderUnknown."""
        return Rederiving(self._ledger, self._devices, self._secrets, self._releases, device, station)

    def _list_devices(self, _words: Mapping[str, str | None]) -> Outcome:
        with self._ledger.database.lock:
            devices = self._devices.all()
        return Outcome(
            "\n".join(_described(device) for device in devices) or "chưa thấy thiết bị nào / no gateway was seen yet"
        )

    def _accept(self, words: Mapping[str, str | None]) -> Outcome:
        device = _device(words)
        with self._ledger.database.transaction():
            text = self._devices.accept(device, words.get("fingerprint"), self._clock.now_ms())
        return Outcome(text, accepted=[device])

    def _retire(self, words: Mapping[str, str | None]) -> Outcome:
        device = _device(words)
        with self._ledger.database.transaction():
            return Outcome(self._devices.retire(device, self._clock.now_ms()))

    def _show_keys(self, _words: Mapping[str, str | None]) -> Outcome:
        with self._ledger.database.lock:
            return Outcome(self._secrets.show())

    def _export_keys(self, _words: Mapping[str, str | None]) -> Outcome:
        with self._ledger.database.lock:
            text, paper = self._secrets.export(self._school, self._devices)
        return Outcome(text, paper=paper)

    def _list_findings(self, words: Mapping[str, str | None]) -> Outcome:
        with self._ledger.database.lock:
            found = self._cards.findings()
        if words.get("json") == "True":
            return Outcome(msgspec.json.encode(found).decode("utf-8"))
        return Outcome("\n".join(map(_found, found)) or "không có / none")

    def _note_backup(self, words: Mapping[str, str | None]) -> Outcome:
        note = decoded((words.get("note") or "").encode("utf-8"), BackedUp)
        if note is None:
            raise AskedWrongly("a backup's note must be handed in")
        with self._ledger.database.transaction():
            Notes(self._ledger.database).write(note)
        return Outcome("", backup=True)

    def _regain(self, _words: Mapping[str, str | None]) -> Outcome:
        with self._ledger.database.transaction():
            Notes(self._ledger.database).write(Regain(self._clock.now_ms()))
        return Outcome("", regain=True)

    def _import_keys(self, words: Mapping[str, str | None]) -> Outcome:
        with self._ledger.database.transaction():
            text = self._secrets.restore(*_paper(words), self._school, self._devices, self._clock.now_ms())
        return Outcome(text, keys=True)


def _not_pulled(_desk: Desk, _words: Mapping[str, str | None]) -> Outcome:
    """A running hub with a roster_url pulls by itself; who comes here met none."""
    raise NotPulled("no hub that pulls a roster runs here")


def _rederive(desk: Desk, words: Mapping[str, str | None]) -> Outcome:
    """Read a reader's taps again under another declaration of its numbers."""
    device, _, station = (words.get("reader") or "").partition("/")
    if not SLUG.fullmatch(device) or not SLUG.fullmatch(station):
        raise AskedWrongly(f"{words.get('reader')!r} is not DEVICE/STATION")
    plan = number_plan(words.get("format") or "", words.get("order"), words.get("bytes"), words.get("part"))
    work = desk.rederiving(device, station)
    dry = words.get("dry_run") == "True"
    unassign = words.get("unassign") == "True"
    if dry:
        count = sum(1 for _ in work.changes(plan, unassign=unassign))
    else:
        count = work.correct(plan, desk.own(), words.get("by") or "-", unassign=unassign)
    told = "sẽ sửa / would be corrected" if dry else "đã sửa / corrected"
    lines = [f"{device}/{station}, {plan}: {count} {told}"]
    lines += [f"  {number:>7} {COUNTED[name]}" for name, number in sorted(work.counts.items())]
    return Outcome("\n".join(lines), records=count if not dry else 0)


COUNTED: Final = {
    "taps": "lượt chạm của đầu đọc này / taps of this reader",
    "without a raw read": "số đầy đủ của thẻ đã biết / whole numbers of known cards: no raw read was kept",
    "declared so": "đã được đọc đúng định dạng này / were read in this form already",
    "left as they are": "giữ nguyên, thẻ nay không có trong danh sách / left: no roster has the card now (--unassign)",
    "corrected already": "đã sửa trước đây / were corrected before",
    "damaged": "bản ghi hỏng, bỏ qua / damaged records, passed over",
    "unreadable": "không đọc lại được theo định dạng này / can't be read in this form",
    "as known": "đúng như đã ghi / as known",
    "corrected": "trước không rõ, nay rõ học sinh / of nobody before, now of a pupil",
    "another pupil's": "chuyển sang học sinh khác / now of another pupil",
    "nobody's": "nay không rõ học sinh / now of nobody",
}


FOUND: Final[Mapping[str, str]] = {
    "proof-refused": "thẻ không chứng minh được mình / the card's proof is wrong",
    "proof-replayed": "chứng minh đã dùng rồi / the proof was used before",
    "proof-late": "chứng minh cũ, nay mới đưa ra / the proof is an old one",
    "proof-missing": "thiếu chứng minh / no proof came",
    "card-type-changed": "thẻ thuộc loại khác trước / the card is of another type than before",
    "card-in-two-places": "một thẻ ở hai nơi cùng lúc / one card was in two places at once",
}


def _found(one: Mapping[str, str | None]) -> str:
    """A finding for people: when, where, whose, what."""
    where = f"{one['device']}/{one['station'] or '-'}"
    code = one["code"] or ""
    return (
        f"{one['time'] or '-'}\t{where}\t{one['student'] or '-'}\t{code}\t{one['id']}\n\t{FOUND[code]}: {one['detail']}"
    )


def _paper(words: Mapping[str, str | None]) -> tuple[str, bytes]:
    """The name of a file that was handed in, and its bytes."""
    name, paper = words.get("file"), words.get("paper")
    if not name or paper is None:
        raise AskedWrongly("a file must be handed in")
    return name, unwrapped(paper)


def _device(words: Mapping[str, str | None]) -> str:
    name = words.get("device")
    if not name or not SLUG.fullmatch(name):
        raise AskedWrongly(f"{name!r} is not a device's id")
    return name


def _described(device: Device) -> str:
    lines = [f"{device.device}\t{STANDINGS[device.standing]}"]
    if device.expects:
        lines.append(f"\t{device.expects}\tchờ khóa này / waits for this key")
    elif device.expects is not None:
        lines.append("\tchờ kết nối lần đầu / waits for its first contact")
    lines += [f"\t{fingerprint(key.key)}\t{STANDINGS[key.standing]}" for key in device.keys]
    return "\n".join(lines)


ACTIONS: Final[dict[str, Callable[[Desk, Mapping[str, str | None]], Outcome]]] = {
    "roster-pull": _not_pulled,
    "devices-list": Desk._list_devices,
    "devices-accept": Desk._accept,
    "devices-retire": Desk._retire,
    "keys-show": Desk._show_keys,
    "keys-export": Desk._export_keys,
    "keys-import": Desk._import_keys,
    "backup-noted": Desk._note_backup,
    "regain": Desk._regain,
    "cards-rederive": _rederive,
    "cards-findings": Desk._list_findings,
}
