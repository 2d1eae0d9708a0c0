"""The parsers of files that a failing card may have changed: a journal's pages, the gateway's keys, a saved witness."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from random import Random

import msgspec

from edge.carving import PAYLOAD_MAX, Carved, carve, transactions
from edge.clock import SystemClock
from edge.devicekeys import DeviceKeys
from edge.journal import SqliteJournal
from edge.journalfile import PAGE_BYTES
from edge.salvage import open_journal, read_damaged, salvage
from edge.verify import verify_path
from edge.witness import Held, Witness, read_witness
from protocol.cards import CardUid
from protocol.envelope import decode_event, digest
from protocol.signing import seal
from protocol.status import DeviceConfig, HubState, decode_body
from sim.fuzz.messages import GATEWAY, JOURNALS, SOURCE, hub_state
from sim.fuzz.mutator import Mutator, sound_bytes, sound_json
from sim.fuzz.parser import Parser, must


def _journal(folder: Path, records: int) -> SqliteJournal:
    """A gateway's journal in `folder` with so many records, one of them over several pages; still open."""
    folder.mkdir(parents=True, exist_ok=True)
    journal, aside = open_journal(
        folder, journal=secrets.token_hex(8), source=SOURCE, identity=GATEWAY, clock=SystemClock(), version="0"
    )
    assert not aside
    for number in range(records):
        journal.note("device.alarm", {"code": "disk-low", "detail": str(number) * (3000 if number == 3 else 20)})
    return journal


class Pages(Parser):
    """`pages`: a damaged journal's file and log; records are carved out of what is left."""

    name = "pages"
    refusals = ()
    every = 500
    cpu_ms_max = 500.0

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        journal = _journal(folder / "sound", 6)
        journal.checkpoint()
        for number in range(3):
            journal.note("device.alarm", {"code": "clock", "detail": str(number)})
        self._file = journal.path.read_bytes()
        self._log = journal.path.with_name(journal.path.name + "-wal").read_bytes()[: 32 + 6 * (24 + PAGE_BYTES)]
        journal.close()
        pages = [self._file[at : at + PAGE_BYTES] for at in range(0, len(self._file), PAGE_BYTES)]
        self._leaves = [at for at, page in enumerate(pages) if page[:1] == b"\x0d"]
        self._mutator = Mutator([sound_bytes(pages[at]) for at in self._leaves])
        self._logs = Mutator([sound_bytes(self._log)])

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        draw = rng.random
        file, log = self._file, self._log
        if draw() < 0.7:
            at = self._leaves[int(draw() * len(self._leaves))] * PAGE_BYTES
            page = file[at : at + PAGE_BYTES]
            # A cell's pointer, size or header is worth more than a byte of its text.
            place = int(draw() * 64) if draw() < 0.5 else PAGE_BYTES - 1 - int(draw() * 2600)
            page = page[:place] + rng.randbytes(1 + int(draw() * 3)) + page[place + 1 :]
            page = self._mutator.mutated(rng) if draw() < 0.3 else page
            file = file[:at] + page[:PAGE_BYTES].ljust(PAGE_BYTES, b"\0") + file[at + PAGE_BYTES :]
        if draw() < 0.4:
            log = self._logs.mutated(rng)
        if draw() < 0.1:
            file = file[: int(draw() * len(file))]
        return len(file).to_bytes(4, "big") + file + log

    def take(self, octets: bytes) -> list[Carved]:
        """See Parser."""
        size = int.from_bytes(octets[:4], "big")
        file, log = octets[4 : 4 + size], octets[4 + size :]
        found = list(carve(file, log))
        must(len(found) <= len(octets) // 8, "more records than there is room for")
        must(
            all(0 < position < 1 << 64 and len(raw) <= PAYLOAD_MAX for position, raw, _ in found),
            "a record that can't be",
        )
        must(sum(map(len, transactions(log))) <= len(octets) // 8, "more records than there is room for")
        return found

    def follow(self, octets: bytes, taken: list[Carved]) -> None:
        """What is carved comes back into a new journal, once, each record under its own name."""
        size = int.from_bytes(octets[:4], "big")
        folder = self.folder / "again"
        shutil.rmtree(folder, ignore_errors=True)
        journal = _journal(folder, 1)
        (folder / "journal-damaged-00000000.db").write_bytes(octets[4 : 4 + size])
        (folder / "journal-damaged-00000000.db-wal").write_bytes(octets[4 + size :])
        parts = read_damaged(folder / "journal-damaged-00000000.db")
        for part in parts:
            for sequence, raw in part.records.items():
                must(decode_event(raw).id == f"{part.journal}.{sequence}", "a record under another's name")
        salvage(folder, journal)
        journal.close()
        must(not list(folder.glob("journal-damaged-*")), "a damaged file is left in the way")


class KeyStores(Parser):
    """`keyfile`: the gateway's own keys.json; whatever it holds, the gateway starts and takes taps."""

    name = "keyfile"
    refusals = ()
    cpu_ms_max = 200.0

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._path = folder / "keys.json"
        keys = DeviceKeys(folder, None)
        keys.meet_hub(decode_body(hub_state(), HubState))
        keys.configure(DeviceConfig(5, [(1, seal(keys.identity.box, bytes(32)))]))
        whole = self._path.read_bytes()
        # An earlier version wrote no digest: then what the keys themselves say is all that there is.
        bare = b"{" + whole[whole.index(b'"sign_seed"') :]
        self._mutator = Mutator([sound_json(whole), sound_json(bare)])

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        return self._mutator.mutated(rng)

    def take(self, octets: bytes) -> None:
        """See Parser."""
        for path in self.folder.glob("keys*"):
            path.unlink()
        self._path.write_bytes(octets)
        keys = DeviceKeys(self.folder, None)
        card = CardUid("a", "04A1B2C3D4E580")
        keys.card_key().keyed(card)
        keys.card_key_for([1, 2])
        seal(keys.raw_box(), b"a:04A1B2C3D4E580")
        keys.handover()
        keys.identity.sign(b"-")
        again = DeviceKeys(self.folder, None)
        must(not again.damaged and again.identity == keys.identity, "the keys read otherwise from the disk")


class Witnesses(Parser):
    """`witness`: what a hub says, or said, that it holds, as an audit reads it from a file."""

    name = "witness"
    every = 100

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._file = folder / "witness.json"
        journal = _journal(folder / "journal", 4)
        name, last, head = journal.journal, journal.last, journal.head
        journal.close()
        self._data = folder / "journal"
        held = {
            name: Held(SOURCE, last, None, head),
            JOURNALS[0]: Held(SOURCE, 9, name, digest(b"-"), [(2, 3)], 1),
        }
        self._mutator = Mutator([sound_json(msgspec.json.encode(Witness(held)))])

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        return self._mutator.mutated(rng)

    def take(self, octets: bytes) -> Witness:
        """See Parser."""
        self._file.write_bytes(octets)
        return read_witness(str(self._file))

    def follow(self, octets: bytes, taken: Witness) -> None:
        """An audit beside it ends with a report."""
        report = verify_path(self._data, str(self._file))
        must(report.exit_code in (0, 1) and report.as_json()["through"], "the file itself was not proven")
