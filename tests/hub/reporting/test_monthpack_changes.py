"""Any month, any single change: a random month's pack recounts as the hub counted, and what one changes is named."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.recount.archive import unzipped
from hub.recount.manifest import MANIFEST, MEALS, SERVINGS, SIGNATURE
from hub.recount.verdict import BAD, VALID, verify_contents
from hub.reporting.monthpack import MonthPack
from protocol.cards import parse_card
from protocol.meals import ByHand, MealTap
from protocol.taps import TapData, tap_type
from tests.hub.days.test_daybook import AN, BE, CHI, STRANGE, mono_at
from tests.hub.days.test_mealbook import Canteen
from tests.hub.handmade import Run
from tests.hub.reporting.monthschool import MONTH, on
from tests.hub.reporting.test_monthpack import Files, resigned

CARDS = {AN: "st-an", BE: "st-be", CHI: "st-chi", STRANGE: None}
DAYS = [date(2026, 11, number) for number in (17, 18, 19, 20, 23, 24)]
CHANGES = 60


def random_month(canteen: Canteen, rng: random.Random) -> None:
    """A week of lunches: cards, hands, strangers, unsure clocks, words on servings, cuts, leave, class lists, locks."""
    on(canteen, DAYS[-1])
    canteen.machine.at_ms += 12 * 3_600_000
    office, store = canteen.store.mealoffice, canteen.store
    for pupil in ("st-an", "st-be", "st-chi"):
        office.enrol("van-phong", pupil, DAYS[0], None, reason="x")
    key = store.secrets.card_keys()[-1]
    lost = rng.choice(DAYS)
    for day in DAYS:
        minutes = sorted(rng.sample(range(620, 720), rng.randrange(8)))
        for minute in minutes:
            clock, card = f"{minute // 60:02}:{minute % 60:02}", rng.choice(list(CARDS))
            pupil = CARDS[card]
            hand = ByHand("name", "co-hoa") if pupil is not None and rng.random() < 0.2 else None
            decision: Any = "accepted" if pupil is not None else "refused"

            def data(at: Any, card: str = card, pupil: Any = pupil, hand: Any = hand, decision: Any = decision,
                     day: date = day) -> TapData:  # fmt: skip
                keyed = key.keyed(parse_card(card)) if hand is None else key.keyed_hand(pupil)
                more: dict[str, Any] = {} if hand is None else {"hand": hand}
                reason: Any = None if pupil else "unknown"
                return TapData(
                    "canteen", "quay-1", None, keyed, pupil, decision, reason, "ok", "r-1", at,
                    meal=MealTap(day.isoformat(), "lunch", 1, 1), **more,
                )  # fmt: skip

            err_ms = None if canteen.run.boot.startswith("0000") else rng.choice([15, 15, None])
            canteen.run.add(tap_type("canteen", decision), data, mono_ms=mono_at(clock, day), err_ms=err_ms)
            if rng.random() < 0.15:
                canteen.correct(f"{canteen.run.journal}.{len(canteen.run.lines)}", "undone", "12:00")
        if rng.random() < 0.8 and canteen.sent < len(canteen.run.lines):
            canteen.deliver()
        if day == lost and canteen.sent == len(canteen.run.lines):
            reboot(canteen, day)
    if canteen.sent < len(canteen.run.lines):
        canteen.deliver()
    for day in rng.sample(DAYS, 3):
        pupil = rng.choice(["st-an", "st-be", "st-chi"])
        one = office.cut("co-lan", pupil, day, day + timedelta(days=rng.randrange(3)), reason="x")
        if rng.random() < 0.4:
            office.withdraw_cut("co-lan", one.record, "x")
        store.office.leave("co-lan", pupil, (day, "am"), (day, "pm"), "x")
        office.serve_class(
            "co-lan", "1A", day, "lunch", rng.sample(["st-an", "st-be"], rng.randrange(1, 3)), reason="x"
        )
        store.kitchen.freeze("bep", day, "lunch", "final")
    office.close("hieu-truong", rng.choice(DAYS), ["lunch"], "x")
    canteen.read()
    store.kitchen.work()
    on(canteen, date(2026, 12, 1))
    store.mealmonths.state("ke-toan", MONTH, "lunch")
    canteen.read()


def reboot(canteen: Canteen, day: date) -> None:
    """The counter starts again as a box whose clock nothing vouches for."""
    run = Run(canteen.gate.source, boot="0000000000000000")
    canteen.gate.runs[run.journal] = run
    canteen.run = run.open(after=canteen.run, mono_ms=mono_at("05:00", day), err_ms=None)
    canteen.sent = 0


def one_change(files: Files, rng: random.Random) -> tuple[Files, str]:
    """A line of a random file of records or of what was counted: gone, there twice, moved, or with another value."""
    name = rng.choice(sorted(name for name in files if name.startswith("records/") or name in (SERVINGS, MEALS)))
    lines = files[name].splitlines(keepends=True)
    place = rng.randrange(len(lines))
    match rng.choice(["gone", "twice", "moved", "other"]):
        case "gone":
            lines.pop(place)
        case "twice":
            lines.insert(rng.randrange(len(lines) + 1), lines[place])
        case "moved" if len(lines) > 1:
            other = rng.choice([n for n in range(len(lines)) if n != place])
            line = lines.pop(place)
            lines.insert(other, line)
        case _:
            lines[place] = _other(lines[place], rng)
    return {**files, name: b"".join(lines)}, name


def _other(line: bytes, rng: random.Random) -> bytes:
    """The same line with one value that is otherwise."""
    value = msgspec.json.decode(line)
    place = value.get("data", value)
    field = rng.choice(sorted(name for name in place if place[name] is not None and name != "clock"))
    was = place[field]
    place[field] = not was if isinstance(was, bool) else was + 1 if isinstance(was, int) else "khác"
    return bytes(msgspec.json.encode(value)) + b"\n"


@pytest.mark.parametrize("seed", range(3))
def test_any_single_change_of_a_random_month_is_found_and_named(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    canteen = Canteen(tmp_path)
    try:
        random_month(canteen, rng)
        made = MonthPack(canteen.store).make("ke-toan", MONTH)
    finally:
        canteen.room.close()
    assert made.verdict.exit_code == VALID, made.verdict.lines
    files = unzipped(made.octets)
    for number in range(CHANGES):
        other, name = one_change(files, rng)
        if other == files:
            continue
        for told in (verify_contents(other), verify_contents(resigned(other))):
            assert told.exit_code == BAD, (number, name, told.lines)
            about = told.bad[0].about
            # By record, serving or meal: not only that some file isn't the one that was listed.
            assert about not in (name, MANIFEST, SIGNATURE), (number, name, told.bad)
