"""The parser of audit packs: damaged zip files, sound ones with damaged files in them; none is called valid."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from hub.meals.sittings import FIRST_PLAN, clock_ms
from hub.recount.archive import PackRefused, unzipped, zipped
from hub.recount.facts import Boots, Facts, Held, Member
from hub.recount.manifest import MANIFEST, SIGNATURE
from hub.recount.packing import Volume, packed
from hub.recount.records import Sealed
from hub.recount.verdict import BAD, UNREADABLE, VALID, Verdict, verify_contents
from protocol.batch import signed_text
from protocol.envelope import clock_data, digest, encode_event
from protocol.meals import MealTap
from protocol.signing import Identity
from protocol.taps import ClockReading, TapData, TapId
from sim.fuzz.mutator import Mutator, sound_bytes, sound_json
from sim.fuzz.parser import Parser, must

DAY: Final = date(2026, 11, 23)
COUNTER, HUB = "urn:k12edge:dev:79000701-quay-1", "urn:k12edge:hub:79000701-tram"
RUN, OWN = "0b6f5c9e7d2a4f18", "1b6f5c9e7d2a4f18"
NAMES: Final = (b"../a.json", b"/a.json", b"records/a.jsonl", b"a\\b.json", b"manifest.json", b"facts.json")


def sound_pack() -> dict[str, bytes]:
    """A small pack: three records of a counter, one enrolment by the hub."""
    hub, counter = Identity(b"h" * 32, b"b" * 32), Identity(b"c" * 32, b"b" * 32)
    rows: list[tuple[int, bytes]] = []
    for number, student in enumerate(("st-1", "st-2", "st-1"), 1):
        at_ms = clock_ms(DAY, "10:35") + number * 60_000
        clock = clock_data(ClockReading("7d3e0c2a", number * 60_000, at_ms, at_ms, "ntp", 15))
        data = TapData(
            "canteen", "quay-1", None, f"hk1:{student}AAAAAAA", student, "accepted", None, "ok", "r-1", clock,
            meal=MealTap(DAY.isoformat(), "lunch", 1, number // 3 + 1),
        )  # fmt: skip
        prev = digest(rows[-1][1]) if rows else None
        rows.append((number, _record(RUN, number, COUNTER, "meal.pickup", at_ms, prev, data)))
    seal = Sealed(1, 3, counter.key, counter.sign(signed_text(RUN, 1, 3, digest(rows[-1][1]))))
    enrolled = {
        "student": "st-1", "first": "2026-11-02", "last": None, "weekdays": [0, 1, 2, 3, 4], "meals": ["lunch"],
        "by": "van-phong", "clock": {"boot": "1", "mono": 1, "wall": "2026-11-02T07:00:00.000+07:00", "sync": "ntp"},
    }  # fmt: skip
    own = [(7, _record(OWN, 7, HUB, "meal.enrolled", clock_ms(date(2026, 11, 2), "07:00"), "A" * 43, enrolled))]
    always = [Held("st-1", -(1 << 60), 1 << 60)]
    facts = Facts(
        "79000701", "2026-11", DAY, DAY, {"2026-11-01": FIRST_PLAN}, {DAY.isoformat(): {"1A": 0}},
        [Member("st-1", "1A", date(2026, 9, 1), date(2027, 5, 31))], [], {"hk1:st-1AAAAAAA": always}, {}, {}, {},
        {COUNTER: "quay-1"}, {COUNTER: [counter.key]}, {COUNTER: Boots({}, {}, {})},
    )  # fmt: skip
    volumes = {RUN: Volume(COUNTER, 1, 3, rows, [seal]), OWN: Volume(HUB, 7, 7, own, own=True)}
    return packed(hub, HUB, "ke-toan", facts, volumes).contents


def _record(journal: str, number: int, source: str, kind: str, at_ms: int, prev: str | None, data: Any) -> bytes:
    return encode_event(
        TapId(journal, number), source=source, kind=kind, time_ms=at_ms, recorded_ms=at_ms, prev=prev, data=data
    )


class Packs(Parser):
    """`pack`: an audit pack as somebody hands it over; a verdict or a refusal, and valid only what the hub made."""

    name = "pack"
    share = 20
    # Signatures of records, batches and manifest; and the month counted anew.
    cpu_ms_max = 500.0
    bytes_max = 32 * 1024 * 1024

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._files = sound_pack()
        must(verify_contents(self._files).exit_code == VALID, "the sound pack isn't")
        self._whole = Mutator([sound_bytes(zipped(self._files))])
        self._texts = {
            name: Mutator(
                [sound_json(msgspec.json.format(octets, indent=-1)) if name.endswith(".json") else sound_bytes(octets)]
            )
            for name, octets in self._files.items()
        }

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        kind = rng.random()
        if kind < 0.2:
            return self._whole.mutated(rng)
        names = sorted(self._files)
        changed = names[int(rng.random() * len(names))]
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if kind < 0.9 else zipfile.ZIP_STORED) as archive:
            for name, octets in self._files.items():
                # A date of its own would make another input of the same seed each time.
                entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                archive.writestr(entry, self._texts[name].mutated(rng) if name == changed else octets)
            if kind > 0.95:
                more = zipfile.ZipInfo(NAMES[int(rng.random() * 4)].decode(), (1980, 1, 1, 0, 0, 0))
                archive.writestr(more, b"0" * int(rng.random() * 4_000_000), zipfile.ZIP_DEFLATED)
        return stream.getvalue()

    def take(self, octets: bytes) -> Verdict:
        """See Parser."""
        contents = unzipped(octets)
        found = verify_contents(contents)
        must(found.exit_code in (VALID, BAD, UNREADABLE), "an exit code of its own")
        # How a signature that holds is written down proves nothing, and disproves nothing.
        same = contents | {SIGNATURE: b""} == self._files | {SIGNATURE: b""}
        must(found.exit_code != VALID or same, "valid, and not what the hub made")
        must(found.exit_code == VALID or contents != self._files, "bad, and just what the hub made")
        must(all(len(line) < 2_000 for line in found.lines) and len(found.lines) < 200, "it says too much")
        if found.exit_code == UNREADABLE:
            raise PackRefused(found.lines[0])
        must(found.exit_code == VALID or found.bad, "bad, and nothing is named")
        must(MANIFEST in contents, "judged without a manifest")
        return found
