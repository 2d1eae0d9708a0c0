"""The parsers of the shared language: records, batches, receipts, states, signed messages, single words."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from edge.pruning import certain_ms
from hub.road.intake import examine
from hub.road.states import checked_state
from protocol.anchors import Timeline
from protocol.audit import cursor_of, told
from protocol.batch import Batch, Header, decode_batch, signed_text
from protocol.cards import parse_card
from protocol.envelope import Event, decode_data, decode_event, digest, expected_event, octets_of, text_of, unix_ms_of
from protocol.errors import BadMessage, ConfigError
from protocol.records import DATA_TYPES
from protocol.settings import parse_listen
from protocol.signing import SignatureRefused, open_message, sign_message, split_message
from protocol.status import DeviceState
from protocol.taps import parse_tap_id
from protocol.topics import device_topic, parse_device_topic
from sim.fuzz.ledger import LedgerRoom
from sim.fuzz.messages import DEVICE, GATEWAY, HUB, JOURNALS, SCHOOL, SOURCE, device_state, example, hub_state, lines
from sim.fuzz.mutator import TEXTS, Mutator, sound_bytes, sound_json
from sim.fuzz.parser import Parser, must

RECORDS: Final = (
    "attendance.tap", "boot.anchored", "card.presented", "card.refused", "care.tap", "device.alarm", "journal.head",
    "journal.opened", "log.gap", "meal.pickup", "meal.referred", "record.forked",
)  # fmt: skip


class Records(Parser):
    """`event`: one record, and what hub and city derive from it."""

    name = "event"
    every = 1000

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        sound = [*map(example, RECORDS), *lines(JOURNALS[0])]
        self._mutator = Mutator([sound_json(raw) for raw in sound])
        self._ledger = LedgerRoom(folder)

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        return self._mutator.mutated(rng)

    def take(self, octets: bytes) -> Event:
        """See Parser."""
        event = decode_event(octets)
        tap = event.tap
        expected = expected_event(octets, tap.journal, tap.sequence, event.source)
        must(expected is not None and expected.id == event.id, "the hub's fast way refuses what the envelope allows")
        again = decode_event(msgspec.json.encode(event))
        must(bytes(again.data) == bytes(event.data) and again.prev == event.prev, "it reads otherwise when written")
        shape = DATA_TYPES.get(event.name)
        if shape is not None:
            with suppress(BadMessage):
                decode_data(event, shape)
        timeline = Timeline()
        timeline.learn(event)
        told(timeline.effective(event))
        must(not timeline.learn(event), "a record that is heard twice changes a time")
        with suppress(BadMessage):
            certain_ms(event, {})
        return event

    def follow(self, octets: bytes, taken: Event) -> None:
        """The hub takes it as a record of a journal, the city gets it, the audit tells it."""
        if b"\n" not in octets:
            self._ledger.take_lines(taken.tap.journal, taken.tap.sequence, [octets])

    def close(self) -> None:
        """See Parser."""
        self._ledger.close()


class Batches(Parser):
    """`batch`: a header line and its records; what stands in each place is judged by the intake."""

    name = "batch"
    every = 1000

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        pool = [raw for journal in JOURNALS for raw in lines(journal)]
        self._records = Mutator([sound_json(raw) for raw in pool])
        headers = [msgspec.json.encode(Header(JOURNALS[0], 1, 3, digest(pool[2]), GATEWAY.sign(b"-")))]
        self._headers = Mutator([sound_json(raw) for raw in [*headers, example("batch")]])
        whole = [
            self._whole(JOURNALS[0], 1, lines(JOURNALS[0])[:3]),
            self._whole(JOURNALS[1], 4, lines(JOURNALS[1])[3:5]),
        ]
        self._wholes = Mutator([sound_bytes(raw) for raw in whole])
        self._sig = GATEWAY.sign(b"-")
        self._ledger = LedgerRoom(folder)

    @staticmethod
    def _whole(journal: str, first: int, records: tuple[bytes, ...]) -> bytes:
        head = digest(records[-1])
        sig = GATEWAY.sign(signed_text(journal, first, len(records), head))
        return b"\n".join((msgspec.json.encode(Header(journal, first, len(records), head, sig)), *records))

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        draw = rng.random
        kind = draw()
        if kind < 0.0003:
            return b"\n".join((self._headers.mutated(rng), *lines(JOURNALS[0]) * (30 + int(draw() * 80))))
        if kind < 0.15:
            return self._wholes.mutated(rng)
        journal = JOURNALS[draw() < 0.3]
        pool = lines(journal)
        start = int(draw() * (len(pool) - 1))
        records = list(pool[start : start + 1 + int(draw() * 3)])
        if kind < 0.4:
            return b"\n".join((self._headers.mutated(rng), *records))
        kind = draw()
        place = int(draw() * len(records))
        if kind < 0.7:
            records[place] = self._records.mutated(rng)
        elif kind < 0.8:
            records.insert(place, records[-1])
        elif kind < 0.9:
            records.reverse()
        else:
            del records[place]
            records.append(lines(JOURNALS[1])[int(draw() * 10)])
        count = len(records) if draw() < 0.95 else len(records) + 1
        header = b'{"journal":"%s","first":%d,"count":%d,"head":"%s","sig":"%s"%s}' % (
            journal.encode(), start + 1, count, digest(records[-1]).encode(), self._sig.encode(),
            self._body(records, draw()),
        )  # fmt: skip
        return b"\n".join((header, *records))

    def _body(self, records: list[bytes], kind: float) -> bytes:
        """The body's digest and signature: none, the right ones, those of other records, or one without the other."""
        if kind < 0.6:
            return b""
        of = records if kind < 0.8 else [*records[::-1], b"{}"]
        words = b',"body":"%s"' % digest(b"\n".join(of)).encode()
        return words if kind > 0.97 else words + b',"bodysig":"%s"' % self._sig.encode()

    def take(self, octets: bytes) -> Batch:
        """See Parser."""
        batch = decode_batch(octets)
        header = batch.header
        must(
            decode_batch(b"\n".join((msgspec.json.encode(header), *batch.lines))) == batch,
            "it reads otherwise when written",
        )
        examined = examine(batch.lines, header.journal, header.first, SOURCE, None, None)
        places = sorted([one.sequence for one in examined.sound] + [one.sequence for one in examined.faulty])
        must(places == list(range(header.first, header.last + 1)), "a line has no verdict, or two")
        before = None
        for one in examined.sound:
            if before is not None and before.sequence + 1 == one.sequence:
                must(one.event.prev == text_of(before.digest), "two sound records that don't follow from each other")
            before = one
        return batch

    def follow(self, octets: bytes, taken: Batch) -> None:
        """The hub takes it from an accepted gateway, which signed it; the city gets what was sound."""
        self._ledger.take_lines(taken.header.journal, taken.header.first, list(taken.lines))

    def close(self) -> None:
        """See Parser."""
        self._ledger.close()


class DeviceStates(Parser):
    """`state`: a gateway's state message's body, held to its bounds by the hub."""

    name = "state"
    every = 1000
    CROWDS = (
        (
            b'"journals":{',
            b'"%016x":{"first_held":1,"last":1,"head":null,"pruned_through":0}',
            (1023, 1024, 1030, 9000),
        ),
        (b'"readers":{', b'"r-%d":"ready"', (63, 64)),
        (b'"alarms":[', b'"alarm-%d"', (63, 64)),
        (b'"partials":[', b'"w24-wire-%d"', (63, 64)),
    )

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._mutator = Mutator(
            [sound_json(raw) for raw in (device_state(), device_state(JOURNALS[:1]), example("device.state"))]
        )
        self._ledger = LedgerRoom(folder)

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        raw = self._mutator.mutated(rng)
        if rng.random() < 0.008:
            # So many of one kind that its bound, or the message's, is near or passed.
            name, entry, counts = self.CROWDS[int(rng.random() * len(self.CROWDS))]
            count = counts[int(rng.random() * len(counts))]
            crowd = b",".join(entry % number for number in range(count))
            raw = raw.replace(name, name + crowd + b",", 1)
        return raw

    def take(self, octets: bytes) -> DeviceState:
        """See Parser."""
        state = checked_state(octets)
        must(checked_state(msgspec.json.encode(state)) == state, "it reads otherwise when written")
        return state

    def follow(self, octets: bytes, taken: DeviceState) -> None:
        """The hub takes it as the gateway's word, and answers it."""
        self._ledger.take_state(octets, taken)

    def close(self) -> None:
        """See Parser."""
        self._ledger.close()


class SignedMessages(Parser):
    """`signed`: the line with a signature before every state, receipt, roster and configuration."""

    name = "signed"
    every = 40

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._topics = (device_topic(SCHOOL, DEVICE, "receipt"), device_topic(SCHOOL, DEVICE, "cfg"))
        self._sound = {
            sign_message(HUB, topic, body) for topic in self._topics for body in (example("receipt"), hub_state())
        }
        self._mutator = Mutator([sound_bytes(raw) for raw in sorted(self._sound)])
        self._signed = {raw.partition(b"\n")[2] for raw in self._sound}

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        return self._mutator.mutated(rng)

    def take(self, octets: bytes) -> bytes:
        """See Parser."""
        _, signed, body = split_message(self._topics[0], octets)
        must(signed == self._topics[0].encode() + b"\n" + body, "the body isn't what was signed")
        return body

    def follow(self, octets: bytes, taken: bytes) -> None:
        """Only what the hub signed is opened."""
        with suppress(SignatureRefused):
            open_message(HUB.key, self._topics[0], octets)
            must(octets.partition(b"\n")[2] in self._signed, "a forged message was opened")


class Words(Parser):
    """`word`: cursors and digest queries, topics, ids, times, keys, addresses, card numbers: texts of one line."""

    name = "word"
    refusals = (BadMessage, ConfigError)
    WORDS = (
        "0b6f5c9e7d2a4f18.213", "2026-11-23T06:58:12.417+07:00", "1970-01-01T00:00:00Z", "k12/1/79000701/dev/cong/ev",
        "127.0.0.1:8600", "[::1]:80", "a:04A1B2C3D4E580", "em:0123456789", GATEWAY.key, "17", "999999999999999999",
        "urn:k12edge:dev:79000701-cong",
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._mutator = Mutator([sound_bytes(text.encode()) for text in (*self.WORDS, *TEXTS)])
        self._readers: tuple[Any, ...] = (
            cursor_of, parse_tap_id, unix_ms_of, parse_device_topic, parse_listen, parse_card, octets_of,
        )  # fmt: skip

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        return self._mutator.mutated(rng)

    def take(self, octets: bytes) -> str:
        """See Parser."""
        text = octets.decode("utf-8", "replace")
        found: dict[Any, Any] = {}
        for reader in self._readers:
            with suppress(BadMessage, ConfigError):
                found[reader] = reader(text)
        tap = found.get(parse_tap_id)
        must(tap is None or str(tap) == text, "an id reads as another one")
        card = found.get(parse_card)
        must(card is None or parse_card(card.canonical) == card, "a card number reads as another one")
        raw = found.get(octets_of)
        must(raw is None or text_of(raw) == text, "two texts stand for the same bytes")
        topic = found.get(parse_device_topic)
        must(
            topic is None or device_topic(topic.school, topic.device, topic.leaf) == text,
            "a topic reads as another one",
        )
        cursor = found.get(cursor_of, 0)
        must(0 <= cursor < 1 << 63, "a cursor that no row can have")
        if not found:
            raise BadMessage("none of them")
        return text
