"""Samples of the office: cards lost and new, a desk at which a class gets its cards, cards of nobody, a calendar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hub.attendance.firsttimetable import first_timetable
from hub.road.reception import Followups
from protocol.cards import parse_card
from protocol.rawread import RawRead, encode_raw
from protocol.signing import seal
from protocol.taps import ClockData, TapData
from tests.hub.handmade import T0_MS, Gateway
from tests.hub.web.dayhub import DayHub
from tests.hub.web.pagehub import CLASS

DESK = "van-phong/ban"
NEW = ("a:04C0FFEE000001", "a:04C0FFEE000002")


def furnish_office(hub: DayHub) -> Mapping[str, str]:
    """Fill a hub with a class; path as written in the registry -> address with what it asks for."""
    store, office, desk = hub.store, hub.store.office, Gateway("van-phong")
    lost = hub.cards["st-3-2-7"]
    for pupil in ("st-3-2-10", "st-3-2-11"):
        office.card("van-phong", "returned", hub.cards[pupil], pupil)
    office.card("van-phong", "lost", lost, "st-3-2-7")
    year = first_timetable(2026)
    with store.database.transaction():
        store.timetables.put(year.first, year, year.first, store.clock.now_ms(), "hieu-truong")
    _taps(hub, desk, [hub.cards["st-3-2-0"]])
    store.issuing.open("van-phong", DESK, CLASS)
    _taps(hub, desk, NEW[:1])
    store.issuing.advance(DESK)
    _taps(hub, desk, [NEW[1], lost])
    with store.database.transaction():
        store.database.connection.execute(
            "INSERT INTO forward_exceptions (position, state, attempts, due_ms, problem, note) VALUES"
            " (1, 'dead', 1, 0, 'urn:k12edge:problem:unknown-student', NULL), (2, 'closed', 1, 0, 'x', 'nhập <nhầm>')"
        )
    return {
        "/cards/pupil": "/cards/pupil?pupil=st-3-2-0",
        "/cards/class": f"/cards/class?class={CLASS}",
        "/cards/desk": f"/cards/desk?desk={DESK}",
        "/paper": f"/paper?class={CLASS}",
        "/paper/entry": f"/paper/entry?class={CLASS}",
    }


def _taps(hub: DayHub, desk: Gateway, cards: Sequence[str]) -> None:
    """Cards held to the desk, as an accepted gateway of this school sends them."""
    store = hub.store
    mono_ms = store.clock.now_ms() - T0_MS
    before = list(desk.runs.values())
    run = desk.run(mono_ms=mono_ms, after=before[-1] if before else None)
    for number, card in enumerate(cards):
        raw = seal(store.secrets.identity().box, encode_raw(RawRead(card)))

        def data(at: ClockData, card: str = card, raw: str = raw) -> TapData:
            keyed = store.secrets.card_keys()[-1].keyed(parse_card(card))
            return TapData("desk", "ban", None, keyed, None, "refused", "unknown", "refused", "r-1", at, raw=raw)

        run.add("card.refused", data, mono_ms=mono_ms + number)
    with store.database.transaction():
        hub.reception.take_state(desk.device, desk.state(), Followups())
    hub.ask("devices-accept", device=desk.device, fingerprint=None)
    with store.database.transaction():
        hub.reception.take_batch(desk.device, desk.batch(run), Followups())
    store.daybook.wake()
    hub.settle()
