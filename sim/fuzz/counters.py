"""The words between counters: what anybody on the school's network may send, and what a counter with a key may say."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Final

import msgspec
from msgspec.structs import replace

from edge.canteen.sifting import SIGNED_BYTES_MAX, Genuine, Sieve
from edge.canteen.talk import Talk
from protocol.countersheet import COUNTERS_MAX
from protocol.errors import BadMessage
from protocol.served import SERVINGS_MAX, WORD_BYTES_MAX, Told, Word, decode_word
from protocol.signing import SignatureRefused, open_message, sign_message
from protocol.topics import device_topic
from sim.fuzz.messages import DEVICE, GATEWAY, HUB, SCHOOL, example
from sim.fuzz.mutator import Mutator, sound_bytes, sound_json
from sim.fuzz.parser import Parser, must

OURS: Final = "quay-a"
RUN: Final = "91c4e07ab35d6f20"
SOURCE: Final = ("10.0.0.66", 7914)


def _words() -> list[Word]:
    """Sound ones: a first one, one that names our word, a page of servings, one after days past."""
    one = msgspec.json.decode(example("served"), type=Word)
    page = [
        replace(one.told[0], place=place, taken_back=place % 3 == 0, shift=place % 3 or None) for place in range(1, 6)
    ]
    heard = {OURS: (RUN, 1, 0)}
    return [
        one,
        Word(one.run, 1, 0),
        Word(one.run, 2, 5, page, heard),
        Word(one.run, 3, 9, [replace(told, place=told.place + 4) for told in page], heard, 4),
    ]


class CounterWords(Parser):
    """`served`: only a counter's own words are taken, whatever they say is bounded, and the talk goes on."""

    name = "served"
    every = 20
    TOPIC = device_topic(SCHOOL, DEVICE, "served")

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        bodies = [msgspec.json.encode(word) for word in _words()]
        signed = [sign_message(GATEWAY, self.TOPIC, body) for body in bodies]
        others = [
            sign_message(HUB, self.TOPIC, bodies[0]),
            sign_message(GATEWAY, device_topic(SCHOOL, OURS, "served"), bodies[0]),
            sign_message(GATEWAY, device_topic("79000702", DEVICE, "served"), bodies[0]),
        ]
        self._bodies = Mutator([sound_json(body) for body in bodies])
        self._wholes = Mutator([sound_bytes(raw) for raw in (*signed, *others)])
        self._signed = set(signed)

    def made(self, rng: Random) -> bytes:
        """Bytes of anybody's, a changed word with a true signature, or one that is too much."""
        kind = rng.random()
        if kind < 0.4:
            return self._wholes.mutated(rng)
        if kind < 0.9:
            return sign_message(GATEWAY, self.TOPIC, self._bodies.mutated(rng))
        if kind < 0.99:
            return sign_message(GATEWAY, self.TOPIC, self._contradicting(rng))
        many = 1 + int(rng.random() * (SERVINGS_MAX + 60))
        told = [
            Told(place, f"{RUN}.{place}", "hk1:x", None, "2026-11-23", "lunch", shift=1) for place in range(1, many)
        ]
        heard = {f"quay-{number}": (RUN, 1, 1) for number in range(int(rng.random() * (COUNTERS_MAX + 20)))}
        body = msgspec.json.encode(Word(RUN, 1, many, told, heard))
        if rng.random() < 0.3:
            body = body.ljust(WORD_BYTES_MAX + int(rng.random() * 300))
        return sign_message(GATEWAY, self.TOPIC, body)

    @staticmethod
    def _contradicting(rng: Random) -> bytes:
        """Places that fit together, or don't."""
        through, forgotten, first, count = (int(rng.random() * 5) for _ in range(4))
        step = 1 if rng.random() < 0.8 else 2
        told = [
            Told(1 + first + step * number, f"{RUN}.{number}", "hk1:x", None, "2026-11-23", "lunch")
            for number in range(count)
        ]
        return msgspec.json.encode(Word(RUN, 1, 2 * through, told, {OURS: (RUN, 1, 0)}, forgotten))

    def take(self, octets: bytes) -> Word:
        """See Parser."""
        found = Sieve(SCHOOL, OURS).sift(octets, {DEVICE: GATEWAY.key}, SOURCE, 0, trusted=False)
        if not isinstance(found, Genuine):
            if found == "unreadable":
                decode_word(open_message(GATEWAY.key, self.TOPIC, octets))
                must(False, "what is unreadable was read")
            raise BadMessage(found)
        must(found.device == DEVICE and len(octets) <= SIGNED_BYTES_MAX, "a word of nobody's was taken")
        try:
            must(decode_word(open_message(GATEWAY.key, self.TOPIC, octets)) == found.word, "another word was signed")
        except SignatureRefused:
            must(False, "a forged word was taken")
        must(decode_word(msgspec.json.encode(found.word)) == found.word, "it reads otherwise when written")
        return found.word

    def follow(self, octets: bytes, taken: Word) -> None:
        """A counter hears it, once by each way; what it says afterwards is sound, and others are heard as before."""
        talk = Talk(SCHOOL, OURS, RUN, GATEWAY)
        talk.know({DEVICE: GATEWAY.key})
        talk.say(0)
        first = talk.take(octets, SOURCE, 10)
        must([told.place for told in first.told] == list(range(1, len(first.told) + 1)) or taken.forgotten, "a hole")
        must(len(first.told) <= len(taken.told), "servings from nowhere")
        must(talk.take(octets, None, 11).refused == "copy", "a copy counts")
        sound = sign_message(
            GATEWAY, self.TOPIC, msgspec.json.encode(Word("another-run", 1, 0, [], {OURS: (RUN, 1, 0)}))
        )
        talk.take(sound, SOURCE, 12)
        for now_ms in range(100, 3_000, 500):
            for saying in talk.say(now_ms):
                said = decode_word(open_message(GATEWAY.key, talk.topic, saying.octets))
                must(len(saying.octets) <= 1_472 and len(said.heard) <= 1, "it said too much")
