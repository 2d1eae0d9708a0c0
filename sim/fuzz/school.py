"""The parsers of the hub: the city's answers, and what a person hands in at the desk."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx2
import msgspec

from hub.city.k12records import judged
from hub.control import Request, read_request
from hub.forwarding.owing import Answer, Forwarding, Owed, PerEvent
from hub.papers import wrapped
from hub.roster import RosterRefused, RosterRow, parse_roster, release_for, roster_text
from hub.store.secrets import KeysRefused
from protocol.errors import NeedsHands
from protocol.roster import pack_release, unpack_release
from protocol.taps import STATION_KINDS
from sim.fuzz.ledger import LedgerRoom
from sim.fuzz.messages import DEVICE, JOURNALS, SCHOOL, SOURCE, example, lines
from sim.fuzz.mutator import TEXTS, Mutator, sound_json, sound_text
from sim.fuzz.parser import Parser, must

NOW_S = 1_795_391_900.0
HOUR_MS = 3_600_000


class CityAnswers(Parser):
    """`city`: a status, a Retry-After and a body, as the city (or whatever stands before it) answers."""

    name = "city"
    refusals = ()
    every = 2000
    STATUSES = (200,) * 12 + (200, 202, 204, 301, 400, 401, 403, 404, 410, 413, 415, 422, 429, 500, 503, 503, 599)
    RETRY_AFTER = (
        "0", "5", "-1", "120", "1e3", "999999999999999999", "٣", "Wed, 21 Oct 2026 07:28:00 GMT",
        "Wed, 21 Oct 2026 07:28:00 -0000",
        "Mon, 99 Foo 99999 99:99:99 +9999", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2359",
        ", , ,", ":", "()",
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._batch = [
            Owed(place, SOURCE, f"{JOURNALS[0]}.{place}", raw) for place, raw in enumerate(lines(JOURNALS[0])[:5], 1)
        ]
        results = [{"source": SOURCE, "id": owed.event_id, "status": "stored"} for owed in self._batch]
        dead = {"type": ":".join(("urn:k12edge:problem", "bad-data")), "title": "No", "retryable": False}
        results[1] = {**results[1], "status": "duplicate"}
        results[2] = {**results[2], "status": "rejected", "problem": dead}  # type: ignore[dict-item]
        sound = [
            msgspec.json.encode({"results": results}),
            msgspec.json.encode({"results": results[:1]}),
            example("city.answer"),
        ]
        self._mutator = Mutator([sound_json(raw) for raw in [*sound, msgspec.json.encode(dead)]])
        self._whens = Mutator(
            [sound_text(text.encode()) for text in self.RETRY_AFTER], [text.encode() for text in self.RETRY_AFTER]
        )
        self._ledger = LedgerRoom(folder)

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        draw = rng.random
        status = self.STATUSES[int(draw() * len(self.STATUSES))]
        when = b"" if status == 200 or draw() < 0.3 else self._whens.mutated(rng).replace(b"\n", b"")
        return b"%d %s\n%s" % (status, when, self._mutator.mutated(rng))

    def take(self, octets: bytes) -> Answer:
        """See Parser."""
        head, _, body = octets.partition(b"\n")
        status, _, when = head.partition(b" ")
        headers = httpx2.Headers([(b"retry-after", when)] if when else [])
        answer = judged(int(status), headers, body, NOW_S)
        forwarding = Forwarding(Random(1))
        verdict = forwarding.apply(1000, self._batch, answer)
        must(not (int(status) != 200 and isinstance(answer, PerEvent)), "only 200 speaks of events")
        names = {owed.position: (owed.source, owed.event_id) for owed in self._batch}
        places = [change.position for change in verdict.changes]
        must(
            len(set(places)) == len(places) and set(places) <= set(names),
            "a record gets two changes, or another one gets one",
        )
        for change in verdict.changes:
            if change.status != "waiting":
                said = answer.results.get(names[change.position]) if isinstance(answer, PerEvent) else None
                must(said is not None, "a record is answered without a word of the city")
                must(
                    (change.status == "held") == (said is not None and said.status != "rejected"), "held, and rejected"
                )
            must(0 <= change.wait_ms <= HOUR_MS, "a record waits too long")
        must(0 <= forwarding.paused_until_ms <= 1000 + HOUR_MS, "the road pauses too long")
        must(forwarding.next_batch(1000 + HOUR_MS, self._batch), "nothing is ever submitted again")
        return answer

    def follow(self, octets: bytes, taken: Answer) -> None:
        """The rows of a real ledger by this answer; then the city stores all, and nothing is left behind."""
        self._ledger.answered(taken)

    def close(self) -> None:
        """See Parser."""
        self._ledger.close()


LIST: Final = "Mã lớp;Mã học sinh;Họ tên\n3/2;7901;An\n3/3;7902;Lê Bình\n".encode()


class RosterSheets(Parser):
    """`csv`: the roster that a person imports."""

    name = "csv"
    refusals = (RosterRefused,)
    every = 300
    TEXT = (
        "pupil_key,display_name,class,card_uid\nst-1,Trần Minh An,6A1,04A1B2C3D4E580\n"
        'st-2,"Lê, Hoa",6A1,em:0123456789\nst-3,"O""Neil",7B,\nst-1,Trần Minh An,6A1,a:12345678\n'
    ).encode()

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        sheets = (self.TEXT, self.TEXT.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + self.TEXT)
        self._mutator = Mutator(
            [sound_text(sheet) for sheet in sheets],
            [*(text.encode() for text in TEXTS), b'"', b",", b"\r", b"123456789012"],
        )
        self._ledger = LedgerRoom(folder)

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        return self._mutator.mutated(rng)

    def take(self, octets: bytes) -> tuple[RosterRow, ...]:
        """See Parser."""
        rows = parse_roster("roster.csv", roster_text("roster.csv", octets))
        cards = [row.card for row in rows if row.card is not None]
        must(len(set(cards)) == len(cards), "a card is given twice")
        return rows

    def follow(self, octets: bytes, taken: tuple[RosterRow, ...]) -> None:
        """It goes into the store as it is, and out to each kind of station."""
        store = self._ledger.store()
        store.office.take_roster("-", taken)
        with_card = {row.pupil_key for row in taken if row.card is not None}
        wanted = {row for row in taken if row.card is not None or row.pupil_key not in with_card}
        must(set(store.releases.rows()) == wanted, "other rows are stored")
        number, name = store.roster.current() or (0, "")
        for kind in STATION_KINDS:
            release = release_for(kind, store.releases.rows(), store.secrets.card_keys(), SCHOOL, number, name)
            must(unpack_release(pack_release(release)) == release, "a release that no gateway reads")

    def close(self) -> None:
        """See Parser."""
        self._ledger.close()


class KeyFiles(Parser):
    """`keys`: the file of an exported hub, taken over in a transaction."""

    name = "keys"
    refusals = (KeysRefused,)

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        self._ledger = LedgerRoom(folder)
        store = self._ledger.store()
        raw = store.secrets.export(SCHOOL, store.devices)[1]
        self._mutator = Mutator([sound_json(msgspec.json.encode(msgspec.json.decode(raw)))])

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        return self._mutator.mutated(rng)

    def take(self, octets: bytes) -> None:
        """See Parser."""
        store = self._ledger.store()
        before = store.secrets.identity()
        try:
            with store.database.transaction():
                store.secrets.restore("keys.json", octets, SCHOOL, store.devices, store.clock.now_ms())
        except KeysRefused:
            must(store.secrets.identity() == before, "a refused file changed the keys")
            raise
        must(store.secrets.card_keys(), "no card key is left")
        store.devices.all()
        store.secrets.show()

    def close(self) -> None:
        """See Parser."""
        self._ledger.close()


class ControlRequests(Parser):
    """`control`: a line on the hub's own socket, and what the desk makes of it."""

    name = "control"
    every = 20

    def __init__(self, folder: Path) -> None:
        """See Parser."""
        super().__init__(folder)
        asked: list[tuple[str, dict[str, Any]]] = [
            ("roster-import", {"file": "/r.csv", "paper": wrapped(RosterSheets.TEXT)}),
            (
                "roster-check",
                {"file": "/r.csv", "paper": wrapped(RosterSheets.TEXT), "day": "2026-11-26", "list": "leave"},
            ),
            ("roster-apply", {"file": "/r.csv", "paper": wrapped(LIST), "confirm": "empty", "missing": "leave"}),
            ("devices-list", {}),
            ("devices-accept", {"device": DEVICE, "fingerprint": "68fb-fc55-1ffd-980e-d9e8"}),
            ("devices-accept", {"device": "other", "fingerprint": None}),
            ("devices-retire", {"device": DEVICE}),
            ("keys-show", {}),
            ("keys-export", {"file": "/k"}),
            ("keys-import", {"file": "/k", "paper": wrapped(b"{}")}),
        ]
        self._mutator = Mutator([sound_json(msgspec.json.encode(Request(*one))) for one in asked])
        self._ledger = LedgerRoom(folder)

    def made(self, rng: Random) -> bytes:
        """See Parser."""
        return self._mutator.mutated(rng)

    def take(self, octets: bytes) -> Request:
        """See Parser."""
        return read_request(octets)

    def follow(self, octets: bytes, taken: Request) -> None:
        """The desk does it, or says in its words why not."""
        with suppress(NeedsHands):
            self._ledger.store().carry_out(taken.action, taken.words)

    def close(self) -> None:
        """See Parser."""
        self._ledger.close()
