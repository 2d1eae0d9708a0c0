"""A lunch at a real hub by two counters, and the same records as their journals' files."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from edge.journalfile import FILE_NAME, open_for_writing
from edge.journalrows import SEQUENCE_BITS
from hub.incidents.pack import Pack
from hub.roster import RosterRow
from protocol.cards import parse_card
from protocol.meals import ByHand, MealTap
from protocol.rawread import RawRead, encode_raw
from protocol.records import DeviceWatermark, TapCorrection
from protocol.signing import seal
from protocol.taps import ClockData, TapData, tap_type
from tests.hub.days.test_daybook import DAY, School, mono_at
from tests.hub.handmade import Gateway, Run

PUPILS = 12
CARDS = {f"st-{number:02}": f"a:04A1B2C3D4E6{number:02}" for number in range(PUPILS)}
NAMES = ("Nguyễn Văn An", "Lê Thị Bé", "=CỘNG(A1)", "Trần Chi", "Đặng Hoà", "Phạm Ơn")
ROSTER = [
    RosterRow(key, f"{NAMES[number % len(NAMES)]}", f"{1 + number % 2}A", card)
    for number, (key, card) in enumerate(CARDS.items())
]
STRANGE = "a:04A1B2C3D4E699"
COUNTERS = ("quay-a", "quay-b")


class Lunch(School):
    """Two gateways, a counter each; what each recorded so far is in its run, and at the hub once delivered."""

    def __init__(self, folder: Path, **more: Any) -> None:
        super().__init__(folder, ROSTER, **more)
        self.boxes = [self.room.known(Gateway(name)) for name in COUNTERS]
        self.runs = [box.run(mono_ms=mono_at("05:00")) for box in self.boxes]
        self.given = [0, 0]
        # So that the hub knows what the third box is: a gate.
        self.tap(CARDS["st-00"], "06:40", student="st-00")
        words = {"cong-a": "gate"}, {"cong-a": "ready"}
        self.run.add(
            "device.watermark", lambda at: DeviceWatermark(2, at.wall, *words, [], at), mono_ms=mono_at("07:00")
        )
        self.deliver()

    def at(self, counter: int, seconds: int) -> int:
        """CLOCK_BOOTTIME so long after 10:30."""
        return mono_at("10:30") + seconds * 1000

    def serve(
        self,
        counter: int,
        card: str,
        seconds: int,
        *,
        student: str | None = None,
        decision: Any = "accepted",
        hand: ByHand | None = None,
        err_ms: int | None = 15,
        run: Run | None = None,
        raw: bool = False,
    ) -> str:
        """`raw`: the card's number travels sealed, as that of a card that no list knows does."""
        key = self.store.secrets.card_keys()[-1]
        keyed = key.keyed(parse_card(card)) if hand is None else key.keyed_hand(student or card)
        said = MealTap(DAY.isoformat(), "lunch", 1)
        reason = "unknown" if decision == "refused" else None

        def data(at: ClockData) -> TapData:
            more: dict[str, Any] = {} if hand is None else {"hand": hand}
            if raw:
                box = self.store.secrets.identity().box
                more["raw"] = seal(box, encode_raw(RawRead(parse_card(card).canonical)))
            return TapData(
                "canteen", f"{COUNTERS[counter]}-1", None, keyed, student, decision, reason, "ok", "r", at,
                meal=said, **more,
            )  # fmt: skip

        run = run or self.runs[counter]
        run.add(tap_type("canteen", decision), data, mono_ms=self.at(counter, seconds), err_ms=err_ms)
        return f"{run.journal}.{len(run.lines)}"

    def say(self, counter: int, tap: str, why: Any, seconds: int) -> None:
        source = self.boxes[counter].source
        self.runs[counter].add(
            "meal.correction",
            lambda at: TapCorrection(tap, source, None, None, "hk1:AAAAAAAAAAA", why, "", "co-hoa", at),
            mono_ms=self.at(counter, seconds),
        )

    def mark(self, counter: int, clock: str = "14:00", days: int = 0) -> None:
        """The gateway says that all until then is written."""
        run = self.runs[counter]
        last = len(run.lines)
        name = f"{COUNTERS[counter]}-1"

        def data(at: ClockData) -> DeviceWatermark:
            return DeviceWatermark(last, at.wall, {name: "canteen"}, {name: "ready"}, [], at)

        run.add("device.watermark", data, mono_ms=mono_at(clock, DAY + timedelta(days=days)))

    def bring(self, *counters: int) -> None:
        """What these counters recorded comes to the hub."""
        for counter in counters or (0, 1):
            run = self.runs[counter]
            if len(run.lines) > self.given[counter]:
                self.room.batch(self.boxes[counter], self.boxes[counter].batch(run, self.given[counter] + 1))
                self.given[counter] = len(run.lines)
        self.read()


def journal_in(folder: Path, runs: Iterable[Run], name: str = FILE_NAME) -> Path:
    """A journal's file with these runs, as a gateway's disk has it."""
    folder.mkdir(parents=True, exist_ok=True)
    database = open_for_writing(folder / name)
    for number, run in enumerate(runs, 1):
        database.execute(
            "INSERT INTO journal (number, journal, boot) VALUES (?, ?, ?)", (number, run.journal, run.boot)
        )
        database.executemany(
            "INSERT INTO event (position, raw) VALUES (?, ?)",
            [(number << SEQUENCE_BITS | place, raw) for place, raw in enumerate(run.lines, 1)],
        )
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return folder / name


def counted(runs: Iterable[Run], cards: dict[str, str]) -> dict[str, set[str]]:
    """By brute force, from the records' JSON alone: list -> records. `cards`: keyed card -> pupil, as the truth is."""
    records = [json.loads(line) for run in runs for line in run.lines]
    by_id = {one["id"]: one for one in records}
    newest: dict[tuple[str, bool], tuple[str, str]] = {}
    for one in records:
        if one["type"].endswith("meal.correction.v1"):
            said = one["data"]
            # The newest word of a record counts; of which tray it was, the newest that speaks of trays.
            for tray in (False, True) if said["why"] in ("second", "repeat") else (False,):
                place = said["tap"], tray
                newest[place] = max(newest.get(place, ("", "")), (one["time"], said["why"]))
    found: dict[str, set[str]] = defaultdict(set)
    ate: set[str] = set()
    lent: dict[str, tuple[str, str]] = {}
    taps = [one for one in records if one["type"].split(".")[2:4] in (["meal", "pickup"], ["meal", "referred"])]
    answered = {
        one["data"]["hand"]["of"]
        for one in taps
        if one["data"].get("hand", {}).get("of") and newest.get((one["id"], False), ("", ""))[1] != "undone"
    }
    for one in sorted(taps, key=lambda one: one["time"]):
        name, data = one["id"], one["data"]
        undone = newest.get((name, False), ("", ""))[1] == "undone"
        tray = newest.get((name, True), ("", ""))[1]
        hand = data.get("hand")
        shown = by_id[hand["of"]]["data"] if hand and hand.get("of") else data
        who = data["student"] if hand and hand["how"] == "name" else cards.get(shown["card"], shown["student"])
        whom = who or (name if hand and not hand.get("of") else shown["card"])
        if undone:
            found["taken-back"].add(name)
        elif data["decision"] == "refused":
            if name not in answered:
                found["referred"].add(name)
        elif tray == "repeat" or (data["decision"] == "repeated" and tray != "second"):
            if data["decision"] == "accepted":
                called = "maybe" if "err" not in data["clock"] else "unidentified" if who is None else "eaten"
                lent.setdefault(whom, (called, name))
        elif "err" not in data["clock"]:
            found["maybe"].add(name)
            lent[whom] = "", ""
        else:
            found["unidentified" if who is None else "second" if whom in ate else "eaten"].add(name)
            ate.add(whom)
    for whom, (called, name) in lent.items():
        # Whoever has nothing else had the tray that people called another one's.
        if called and whom not in ate:
            found[called].add(name)
    return dict(found)


def listed(pack: Pack) -> dict[str, set[str]]:
    """The same of a pack."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in pack.lines:
        if line.record:
            found[line.list].add(line.record)
    return dict(found)


def eaters(pack: Pack) -> dict[str, str]:
    """Record -> pupil, of the lists of servings."""
    return {line.record: line.who.key for line in pack.of("eaten", "second", "maybe") if line.who is not None}
