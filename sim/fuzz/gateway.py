"""The parsers of the gateway: the reader's frames, receipts, rosters, configurations, replayed sightings."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

import msgspec

from edge.clock import SystemClock
from edge.config import load_config
from edge.devicekeys import DeviceKeys
from edge.readers.ndeffile import query_of
from edge.readers.opening import make_reader
from edge.readers.pn53xfield import parse_felica, parse_listed, parse_targets
from edge.readers.pn532wire import FRAME_BYTES_MAX, Frames
from edge.readers.replay import ReplayReader
from edge.uplink import Uplink
from hub.config import load_hub_config
from protocol.cards import CardUid, parse_card
from protocol.envelope import digest, rfc3339
from protocol.errors import BadMessage, ConfigError, ReaderLost, ReaderRefused
from protocol.ranges import RangeSet
from protocol.rawread import PROOF_CHARACTERS_MAX
from protocol.receipts import JournalMarks, Mark, Receipt, decode_receipt, encode_receipt, held_of
from protocol.signing import seal
from protocol.status import DeviceConfig, HubState, decode_body
from protocol.taps import TYPE_CHARACTERS_MAX
from sim.emulators.pn532 import ACK, ERROR_FRAME, NACK, FelicaCard, FieldCard, framed
from sim.emulators.sun import ndef_file
from sim.fuzz.messages import JOURNALS, example, hub_state, lines
from sim.fuzz.mutator import NUMBERS, TEXTS, Mutator, sound_bytes, sound_json, sound_text
from sim.fuzz.parser import Parser, must


class Pn532Frames(Parser):
    """`pn532`: what comes over the reader's line; after any noise a sound frame is found again."""

    name = "pn532"
    refusals = ()
    FRAME = framed(b"\xd5\x4b\x01\x01\x00\x04\x08\x04\x12\x34\x56\x78")

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        cards = (FieldCard(bytes.fromhex("04A1B2C3D4E580")), FieldCard(bytes.fromhex("12345678"), sel_res=0x28))
        listed = b"\xd5\x4b\x02" + cards[0].listed(1) + cards[1].listed(2) + b"\x05\x78\x80\x70\x02"
        frames = (
            ACK, NACK, ERROR_FRAME, self.FRAME, framed(listed), framed(b"\xd5\x4b\x00"),
            framed(b"\xd5\x4b\x02" + b"".join(FelicaCard(bytes(range(8))).listed(number) for number in (1, 2))),
            framed(b"\xd5\x4b" + ndef_file("k12.vn/t?e=EF96&c=94EE")[2:40]),
            framed(b"\xd5\x03\x32\x01\x06\x07"),
            framed(b"\xd5\x01" + bytes(262)), framed(b""), b"\x00\x00\xff", b"\x00\x00\xff\xff\xff\x01\x09\xf6",
            b"\x55\x55" + bytes(14),
        )  # fmt: skip
        self._frames = frames
        self._mutator = Mutator([sound_bytes(raw) for raw in (*frames, ACK + self.FRAME, ACK + framed(listed))])

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        draw = rng.random
        pieces = [self._mutator.mutated(rng)]
        while draw() < 0.4:
            pieces.append(self._frames[int(draw() * len(self._frames))])
        return b"".join(pieces)

    def take(self, octets: bytes) -> int:
        """See Parser."""
        whole, found = Frames(), []
        whole.feed(octets)
        while (frame := whole.take()) is not None:
            found.append(bytes(frame))
        must(sum(map(len, found)) + len(whole) <= len(octets), "more came out than went in")
        must(len(whole) <= FRAME_BYTES_MAX, "noise is kept")
        dribble, also = Frames(), []
        step = 1 + len(octets) % 7
        for at in range(0, len(octets), step):
            dribble.feed(octets[at : at + step])
            while (frame := dribble.take()) is not None:
                also.append(bytes(frame))
        must(found == also, "in pieces other frames come than at once")
        cards = 0
        for one in found:
            answer = one[7:-2]
            for card in parse_targets(answer):
                must(parse_card(card.canonical) == card, "a card that is none")
                cards += 1
            must(all(len(one.kind) <= TYPE_CHARACTERS_MAX for one in parse_listed(answer)), "a type without end")
            must(all(parse_card(read.card.canonical) == read.card for read in parse_felica(answer)), "no FeliCa card")
            query = query_of(answer)
            must(query is None or (query.isascii() and len(query) <= PROOF_CHARACTERS_MAX), "a proof that is none")
        self._resynchronises(whole)
        return cards

    def _resynchronises(self, line: Frames) -> None:
        """Whatever waits, so many sound frames behind it bring one out again."""
        for _ in range(FRAME_BYTES_MAX // len(self.FRAME) + 2):
            line.feed(self.FRAME)
            while (frame := line.take()) is not None:
                if frame == self.FRAME:
                    return
        must(False, "a sound frame is not found again")


class Receipts(Parser):
    """`receipt`: what hub and city hold, as the gateway hears it; its time goes to the gateway's clock."""

    name = "receipt"

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        first, second = (lines(journal) for journal in JOURNALS)
        marks = {
            JOURNALS[0]: JournalMarks(
                Mark(10, digest(first[9]), [(5, 6)], [(9, 9)]), Mark(4, digest(first[3]), [], [], [(4, 4)])
            ),
            JOURNALS[1]: JournalMarks(Mark(7, digest(second[6])), Mark(0, None)),
        }
        made = [Receipt("e1", dict(list(marks.items())[at:])) for at in (0, 1)]
        timed = msgspec.json.decode(example("receipt"), type=Receipt)
        made.append(Receipt("e1", marks, timed.time))
        self._mutator = Mutator([sound_json(encode_receipt(one)) for one in made])
        self._digests = {(journal, n): digest(raw) for journal in JOURNALS for n, raw in enumerate(lines(journal), 1)}
        self._clock = SystemClock("hub")

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        return self._mutator.mutated(rng)

    def take(self, octets: bytes) -> Receipt:
        """See Parser."""
        receipt = decode_receipt(octets)
        must(decode_receipt(encode_receipt(receipt)) == receipt, "it reads otherwise when written")
        for marks in receipt.journals.values():
            for mark in (marks.hub, marks.city):
                if mark is not None:
                    held = held_of(mark)
                    must(
                        held.last <= mark.through and not any(held.overlaps(*hole) for hole in mark.missing),
                        "held and missing",
                    )
        return receipt

    def follow(self, octets: bytes, taken: Receipt) -> None:
        """The gateway settles no more than what it has and the receipt proves; its clock can still be written."""
        uplink = Uplink(Random(1))
        for journal in JOURNALS:
            uplink.add_journal(journal, 10, 1, RangeSet(), RangeSet(), running=journal == JOURNALS[1])
        uplink.connected(1, ready=True, epoch=taken.epoch)
        uplink.next_offers(1)
        heard = uplink.receipt(taken, lambda journal, sequence: self._digests.get((journal, sequence)), 2)
        for change in heard.settled:
            marks = taken.journals[change.journal]
            for held in (change.hub, change.city):
                must(held is None or held.last <= 10, "a record is settled that was never written")
            if change.hub and marks.hub.through:
                mine = self._digests[change.journal, marks.hub.through]
                must(mine == marks.hub.head, "records are settled by a head that isn't ours")
        must(
            uplink.receipt(taken, lambda *name: self._digests.get(name), 3).settled == () or heard.alarms,
            "settled twice",
        )
        must(0 <= uplink.owed() <= 20, "owed")
        uplink.next_offers(4)
        if taken.time is not None:
            self._clock._anchor = None
            anchor = self._clock.hear_hub(self._clock.mono_ns() // 1_000_000, taken.time.hub, taken.time.err)
            reading = self._clock.read()
            rfc3339(reading.best_ms)
            must(anchor is None or rfc3339(anchor.wall_ms), "")
            must(reading.err_ms is None or reading.err_ms >= 0, "a bound below zero")


class Configurations(Parser):
    """`config`: the TOML file of a gateway or of a hub."""

    name = "config"
    refusals = (ConfigError,)
    cpu_ms_max = 2000.0
    GATEWAY = (
        b'[gateway]\nid="cong"\nschool="79000701"\ndata_dir="/d"\n[[station]]\nname="a"\nkind="gate"\n'
        b'reader="replay:/r?loop=1"\nrepeat_window_s=2.5\n[signals]\nsinks=["terminal"]\n[uplink]\nurl="mqtt://h:1883"\n'
    )
    HUB = (
        b'[hub]\nid="tram"\nschool="79000701"\nlisten="127.0.0.1:0"\n[broker]\nembedded=true\n'
        b'[city]\nkind="k12records"\nurl="http://h:1"\ncity_hold_s=900\n[time]\nsource="declared"\n'
    )
    TOKENS = (
        *NUMBERS, b"inf", b"-nan", b"0o7", b"1979-05-27T07:32:00Z", b"1979-13-01", b"07:61:00", b"true", b"[]",
        b"{}", b"[[a]]",
        b'"""\n"""', b"'''", b"'\\u0000'", b'"\\u0000"', b'"\\uD800"', b'"\\U00110000"', b"[hub.id]",
        b"a.b.c=1", b"#", b"=",
        b"[" * 2000, b"{a=" * 800, b"a." * 3000 + b"b=1", b'"' + b"a" * 500 + b'"', b"file", b"mqtt://[::1",
        b'"http://u:p@h:99999"',
        *(b'"' + text.encode().replace(b"\x00", b"\\u0000") + b'"' for text in TEXTS),
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._mutator = Mutator([sound_text(self.GATEWAY), sound_text(self.HUB)], self.TOKENS)
        self._path = folder / "config.toml"

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        return self._mutator.mutated(rng)

    def take(self, octets: bytes) -> None:
        """See Parser."""
        self._path.write_bytes(octets)
        if b"[hub" in octets:
            hub = load_hub_config(self._path)
            must(0 <= hub.listen[1] <= 65535 and 0 <= hub.city.hold_ms <= 604_800_000, "a value beyond its limit")
            return
        config = load_config(self._path)
        must(len(config.stations) <= 64 and len(config.readers) == len(config.stations), "stations")
        for plan, address in zip(config.stations, config.readers, strict=True):
            must(0 <= plan.repeat_window_ms <= 600_000, "a value beyond its limit")
            with suppress(ReaderRefused):
                make_reader(address)


def _forget_keys(folder: Path) -> None:
    """The next gateway in the folder is another one; its keys have a copy."""
    for path in folder.glob("keys*"):
        path.unlink()


class HubStates(Parser):
    """`hubstate`: what a hub says of itself; the gateway pins its keys."""

    name = "hubstate"
    every = 50

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._mutator = Mutator([sound_json(hub_state()), sound_json(example("hub.state"))])

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        return self._mutator.mutated(rng)

    def take(self, octets: bytes) -> HubState:
        """See Parser."""
        state = decode_body(octets, HubState)
        must(decode_body(msgspec.json.encode(state), HubState) == state, "it reads otherwise when written")
        return state

    def follow(self, octets: bytes, taken: HubState) -> None:
        """The gateway meets it: what it seals from now on can be sealed, also after a restart."""
        _forget_keys(self.folder)
        keys = DeviceKeys(self.folder, None)
        with suppress(BadMessage):
            keys.vouch(taken)
            keys.meet_hub(taken)
        seal(keys.raw_box(), b"a:04A1B2C3D4E580")
        keys.handover()
        again = DeviceKeys(self.folder, None)
        must(not again.damaged and again.raw_box() == keys.raw_box(), "the keys read otherwise from the disk")


class DeviceConfigs(Parser):
    """`cfg`: the school's card keys, sealed to the gateway."""

    name = "cfg"
    every = 40

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        _forget_keys(folder)
        box = DeviceKeys(folder, None).identity.box
        self._saved = (folder / "keys.json").read_bytes()
        sealed = [(1, seal(box, bytes(32))), (2, seal(box, bytes(range(32)))), (3, seal(box, b"short"))]
        made = [DeviceConfig(1_795_392_000, sealed[:at]) for at in (1, 2, 3)]
        self._mutator = Mutator([sound_json(msgspec.json.encode(one)) for one in made])

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        return self._mutator.mutated(rng)

    def take(self, octets: bytes) -> DeviceConfig:
        """See Parser."""
        config = decode_body(octets, DeviceConfig)
        must(decode_body(msgspec.json.encode(config), DeviceConfig) == config, "it reads otherwise when written")
        return config

    def follow(self, octets: bytes, taken: DeviceConfig) -> None:
        """The gateway takes all of the keys or none, and has them after a restart."""
        _forget_keys(self.folder)
        (self.folder / "keys.json").write_bytes(self._saved)
        keys = DeviceKeys(self.folder, None)
        card = CardUid("a", "04A1B2C3D4E580")
        before = keys.card_key().keyed(card)
        try:
            done = keys.configure(taken)
        except BadMessage:
            done = False
        must(done or keys.card_key().keyed(card) == before, "a configuration that was refused changed the keys")
        again = DeviceKeys(self.folder, None)
        must(
            not again.damaged and again.card_key().keyed(card) == keys.card_key().keyed(card),
            "other keys on the disk",
        )


class Replays(Parser):
    """`replay`: a file of sightings."""

    name = "replay"
    refusals = (ReaderRefused, ReaderLost)
    TEXT = b"# demo\n100 a:04A1B2C3D4E580 150\n0 em:0123456789\n20 12345678 1 # again\n5 w24:A1B2C3 3600000\n"

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._mutator = Mutator(
            [sound_text(self.TEXT)], (*NUMBERS, *(text.encode() for text in TEXTS), b"a:", b"em:", b"#")
        )
        self._path = folder / "replay.txt"

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        return self._mutator.mutated(rng)

    def take(self, octets: bytes) -> None:
        """See Parser."""
        self._path.write_bytes(octets)
        reader = ReplayReader(str(self._path), loop=True)
        reader.open()
        reader.poll()
