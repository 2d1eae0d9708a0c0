"""Stations: write down, then signal; never the other way; windows of 5 and 20 seconds, rebuilt from the journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edge.bookreader import BookReader
from edge.config import REPEAT_WINDOW_S, StationPlan
from edge.devicekeys import DeviceKeys
from edge.journal import SqliteJournal
from edge.ports import CardRead, CardSeen, Recorded, Warning_
from edge.rosterstore import RosterStore
from edge.station import Station
from protocol.cards import CardKey, CardUid, parse_card
from protocol.envelope import decode_event
from protocol.errors import JournalFull
from protocol.roster import Release, pack_release
from protocol.signing import Identity, seal
from protocol.status import HubState, hub_text
from protocol.taps import STATION_KINDS, TYPE_CHARACTERS_MAX, StationKind
from tests.edge.room import CLOCK, begin, data_of, events, hub_state

KEY = CardKey(1, bytes(32))
A, B, PARTIAL = CardUid("a", "04A1B2C3D4E580"), CardUid("a", "DEADBEEF"), CardUid("w24", "ADBEEF")
BASE_NS = 10_000 * 10**9


class Shown:
    """Signals kept in order; asserts at each that its record is in the file already."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.shown: list[Recorded] = []
        self.warned: list[Warning_] = []

    def show(self, recorded: Recorded) -> None:
        assert str(recorded.tap) in {event.id for event in events(self.data)}, "a beep before its record"
        self.shown.append(recorded)

    def warn(self, warning: Warning_) -> None:
        self.warned.append(warning)


class Place:
    """A station on a real journal."""

    def __init__(
        self, data: Path, kind: StationKind = "gate", key: CardKey = KEY, *, name: str = "cong", **release: Any
    ) -> None:
        self.data = data
        self.journal: SqliteJournal = begin(data)
        self.signals = Shown(data)
        self.box = Identity(bytes(32), b"\x01" * 32)
        cards = {KEY.keyed(A): ["st-1"] + ["x"] * (2 * (kind != "gate"))}
        self.release = Release("r-1", 1, "s", kind, [1], cards, {}) if release.get("roster", True) else None
        plan = StationPlan(name, kind, "in" if kind == "gate" else None, REPEAT_WINDOW_S[kind] * 1000)
        self.station = Station(
            plan,
            clock=CLOCK,
            journal=self.journal,
            signals=self.signals,
            card_key=lambda _: key,
            roster=lambda _: self.release,
            seal_raw=lambda seen: seal(self.box.box, seen.card.canonical.encode()),
        )

    def take(self, card: CardUid, at_s: float) -> str:
        """Show a card `at_s` seconds after BASE; what was signalled."""
        self.station.take(CardSeen(card, BASE_NS + int(at_s * 1e9)))
        return self.signals.shown[-1].signal

    def last(self) -> Any:
        return data_of(events(self.data)[-1])


@pytest.mark.parametrize("kind", STATION_KINDS)
def test_the_same_card_within_the_stations_window_is_the_same_tap(tmp_path: Path, kind: StationKind) -> None:
    place = Place(tmp_path, kind)
    window_s = {"gate": 5, "canteen": 20, "desk": 5, "care": 5}[kind]
    assert place.take(A, 0) == "accepted"
    assert place.take(A, window_s - 0.001) == "repeated"
    assert place.last()["student"] == "st-1", "who it is for is said again"
    assert place.take(A, window_s) == "accepted", "a repeat doesn't stretch the window"
    place.journal.close()


@pytest.mark.parametrize(
    ("kind", "accepted", "refused"),
    [
        ("gate", "attendance.tap", "card.refused"),
        ("canteen", "meal.pickup", "meal.referred"),
        ("desk", "card.presented", "card.refused"),
        ("care", "care.tap", "card.refused"),
    ],
)
def test_every_outcome_is_a_record_of_its_type(tmp_path: Path, kind: StationKind, accepted: str, refused: str) -> None:
    place = Place(tmp_path, kind)
    assert place.take(A, 0) == "accepted"
    event = events(tmp_path)[-1]
    assert (event.name, event.subject) == (accepted, "student/st-1")
    assert place.take(B, 0) == "refused"
    event, data = events(tmp_path)[-1], place.last()
    assert (event.name, event.subject, data["reason"]) == (refused, None, "unknown")
    assert [shown.tap.sequence for shown in place.signals.shown] == [2, 3]
    place.journal.close()


def test_unknown_and_partial_cards_carry_their_number_sealed_and_known_ones_do_not(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.take(A, 0)
    assert "raw" not in place.last()
    for card in (B, PARTIAL):
        place.take(card, 0)
        assert place.box.open(place.last()["raw"]).decode() == card.canonical
        assert card.hex not in str(place.last())
    place.journal.close()


def test_a_proof_travels_sealed_also_of_a_known_card_and_the_cards_type_openly(tmp_path: Path) -> None:
    place = Place(tmp_path)
    read = CardRead(A, kind="sak=20,ats=067577810280", proof="e=EF963FF7828658A599F3041510671E88&c=94EED9EE65337086")
    place.station.take(CardSeen(A, BASE_NS, read))
    assert place.box.open(place.last()["raw"]).decode() == A.canonical
    assert place.last()["type"] == "sak=20,ats=067577810280" and "94EED9EE65337086" not in str(place.last())
    place.station.take(CardSeen(A, BASE_NS + 10**10, CardRead(A, kind="k" * 100)))
    assert "raw" not in place.last() and place.last()["type"] == "k" * TYPE_CHARACTERS_MAX
    place.take(A, 20)
    assert "type" not in place.last()
    place.journal.close()


@pytest.mark.parametrize(("key", "roster"), [(CardKey(0, bytes(32)), True), (KEY, False)])
def test_what_no_roster_was_asked_of_is_kept_sealed_in_case_its_reader_was_declared_wrongly(
    tmp_path: Path, key: CardKey, roster: bool
) -> None:
    place = Place(tmp_path, key=key, roster=roster)
    assert place.take(A, 0) == "accepted" and place.last()["reason"] in ("no-card-key", "no-roster")
    assert place.box.open(place.last()["raw"]).decode() == A.canonical
    place.journal.close()


def test_before_the_hub_is_met_numbers_are_sealed_to_a_box_whose_secret_the_hub_gets_later(tmp_path: Path) -> None:
    keys = DeviceKeys(tmp_path, None)
    assert keys.handover() == (None, None)
    early = seal(keys.raw_box(), b"w24:ADBEEF")
    keys = DeviceKeys(tmp_path, None)
    hub = Identity(b"\x02" * 32, b"\x03" * 32)
    assert keys.meet_hub(hub_state(hub))
    assert keys.raw_box() == hub.box
    hk0, raw0 = keys.handover()
    assert hk0 is not None and raw0 is not None
    assert CardKey(0, hub.open(hk0)) == keys.card_key()
    assert Identity(bytes(32), hub.open(raw0)).open(early) == b"w24:ADBEEF"


def test_a_strangers_box_under_the_known_hubs_key_is_refused(tmp_path: Path) -> None:
    hub, stranger = Identity(b"\x02" * 32, b"\x03" * 32), Identity(b"\x04" * 32, b"\x05" * 32)
    keys = DeviceKeys(tmp_path, hub.key)
    assert not keys.meet_hub(hub_state(stranger))
    # What anybody may publish under the known hub's public key: the box is his, the signature can't be the hub's.
    forged = replace(hub_state(hub), box=stranger.box)
    unsigned = replace(forged, sig=None)
    misfit = HubState("ready", "e1", hub.key, "A" * 43)
    for state in (forged, unsigned, replace(forged, sig=stranger.sign(hub_text(forged))), misfit):
        assert keys.meet_hub(state), "it may be the hub, whose state was changed on the way"
        assert keys.handover() == (None, None), "nothing is sealed to a box that the hub didn't sign"
    assert keys.meet_hub(replace(misfit, sig=hub.sign(hub_text(misfit)))), "a key that nothing can be sealed to"
    assert keys.handover() == (None, None)
    assert keys.meet_hub(hub_state(hub))
    assert keys.raw_box() == hub.box
    assert keys.meet_hub(forged)
    assert keys.raw_box() == hub.box
    assert DeviceKeys(tmp_path, hub.key).raw_box() == hub.box
    other = DeviceKeys(tmp_path, stranger.key)
    assert other.handover() == (None, None), "a hub configured since is not the one that was pinned"
    assert other.raw_box() != hub.box


def test_damaged_keys_are_kept_aside_and_their_copy_counts(tmp_path: Path) -> None:
    first = DeviceKeys(tmp_path, None)
    (tmp_path / "keys.json").write_bytes((tmp_path / "keys.json").read_bytes()[:-20])
    second = DeviceKeys(tmp_path, None)
    assert len(second.damaged) == 1 and first.identity.key == second.identity.key
    assert len(list(tmp_path.glob("keys-damaged-*.json"))) == 1
    assert (tmp_path / "keys.json").read_bytes() == (tmp_path / "keys-copy.json").read_bytes()
    for name in ("keys.json", "keys-copy.json"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert DeviceKeys(tmp_path, None).damaged == []


def test_keys_that_have_no_copy_get_one(tmp_path: Path) -> None:
    """An earlier version kept none; and a copy that is older than the keys would bring back an older time."""
    keys, copy = tmp_path / "keys.json", tmp_path / "keys-copy.json"
    first = DeviceKeys(tmp_path, None)
    older = copy.read_bytes()
    assert first.meet_hub(hub_state(Identity(bytes(32), b"\x01" * 32)))
    copy.unlink()
    DeviceKeys(tmp_path, None)
    assert copy.read_bytes() == keys.read_bytes()
    copy.write_bytes(older)
    DeviceKeys(tmp_path, None)
    assert copy.read_bytes() == keys.read_bytes() != older


@pytest.mark.parametrize("damage", ["cut", "folder"])
def test_where_keys_and_copy_are_damaged_a_new_identity_begins(tmp_path: Path, damage: str) -> None:
    first = DeviceKeys(tmp_path, None)
    for name in ("keys.json", "keys-copy.json"):
        if damage == "cut":
            (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-20])
        else:
            (tmp_path / name).unlink()
            (tmp_path / name).mkdir()
    second = DeviceKeys(tmp_path, None)
    assert len(second.damaged) == 2 and first.identity.key != second.identity.key
    assert DeviceKeys(tmp_path, None).identity.key == second.identity.key


def test_a_bit_changed_anywhere_in_the_keys_or_a_roster_changes_no_key_and_stops_no_gateway(tmp_path: Path) -> None:
    first = DeviceKeys(tmp_path, None)
    path, roster = tmp_path / "keys.json", tmp_path / "roster-gate.gz"
    whole = path.read_bytes()
    body = pack_release(Release("r-1", 1, "s1", "gate", [1], {"hk1:x": ["st-1"]}))
    for place in range(len(whole)):
        octets = bytearray(whole)
        octets[place] ^= 1 << place % 8
        path.write_bytes(octets)
        keys = DeviceKeys(tmp_path, None)
        assert (keys.identity.key, keys.raw_box()) == (first.identity.key, first.raw_box())
        assert keys.card_key().keyed(parse_card("a:04A1B2C3D4E580")) == first.card_key().keyed(
            parse_card("a:04A1B2C3D4E580")
        )
        for aside in tmp_path.glob("keys-damaged-*"):
            aside.unlink()
    for place in range(len(body)):
        octets = bytearray(body)
        octets[place] ^= 1 << place % 8
        roster.write_bytes(octets)
        store = RosterStore(tmp_path, "s1")
        assert (store.current("gate") is None) == bool(store.damaged)


@pytest.mark.parametrize("box", ["", "AAAA", "A" * 42 + "!", "A" * 44])
def test_a_damaged_box_of_the_hub_costs_neither_a_tap_nor_the_identity(tmp_path: Path, box: str) -> None:
    hub = hub_state(Identity(bytes(32), b"\x01" * 32))
    first = DeviceKeys(tmp_path, None)
    assert first.meet_hub(hub)
    text = (tmp_path / "keys.json").read_text(encoding="ascii")
    assert hub.box in text
    # As an earlier version left it, whose files have no digest.
    text = "{" + text[text.index('"sign_seed"') :]
    (tmp_path / "keys.json").write_text(text.replace(hub.box, box), encoding="ascii")
    second = DeviceKeys(tmp_path, None)
    assert second.damaged == [] and second.identity == first.identity
    assert seal(second.raw_box(), b"a:DEADBEEF")
    second.vouch(hub)
    assert second.meet_hub(hub) and second.raw_box() == hub.box


def test_keys_nested_without_end_are_damaged(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_bytes(b'{"a":' * 5_000)
    assert len(DeviceKeys(tmp_path, None).damaged) == 1


def test_keys_of_an_earlier_version_get_their_box(tmp_path: Path) -> None:
    first = DeviceKeys(tmp_path, None)
    (tmp_path / "keys-copy.json").unlink()
    text = (tmp_path / "keys.json").read_text(encoding="ascii")
    text = "{" + text[text.index('"sign_seed"') :]
    at = text.index('"raw0"')
    (tmp_path / "keys.json").write_text(text[: at - 1] + text[text.index('"', at + 8) + 1 :], encoding="ascii")
    second = DeviceKeys(tmp_path, None)
    assert second.damaged == [] and second.identity.key == first.identity.key
    assert second.raw_box() != first.raw_box()
    assert second.raw_box() == DeviceKeys(tmp_path, None).raw_box()


def test_what_can_not_be_written_is_an_alarm_and_no_tap(tmp_path: Path) -> None:
    place = Place(tmp_path)

    class Full:
        def append(self, *_: object) -> Recorded:
            raise JournalFull("no space")

    place.station._journal = Full()  # type: ignore[assignment]
    place.station.take(CardSeen(A, BASE_NS))
    assert place.signals.shown == []
    assert [(w.caution, w.code) for w in place.signals.warned] == [("alarm", "journal-full")]
    place.station._journal = place.journal
    assert place.take(A, 0.1) == "accepted", "the pupil holds the card again; the failed try was no tap"
    place.journal.close()


def test_windows_are_rebuilt_from_the_journal(tmp_path: Path) -> None:
    place = Place(tmp_path, "canteen")
    now_s = (CLOCK.mono_ns() - BASE_NS) / 1e9
    place.take(A, now_s - 19)
    place.take(B, now_s - 1)
    place.journal.close()
    again = Place(tmp_path, "canteen")
    reader, reading = BookReader(again.journal.path), CLOCK.read()
    for raw in reader.newest(1000):
        again.station.remember(decode_event(raw), reading.mono_ms, reading.best_ms, reading.boot)
    reader.close()
    assert again.take(A, now_s + 0.5) == "repeated"
    assert again.take(B, now_s) == "refused", "refusals aren't taps; the card is judged again"
    assert again.take(A, now_s + 2) == "accepted"
    again.journal.close()


def test_a_tap_at_another_station_of_the_gateway_is_no_repeat_here(tmp_path: Path) -> None:
    place = Place(tmp_path)
    now_ns = CLOCK.mono_ns()
    place.station.take(CardSeen(A, now_ns - 10**9))
    event, reading = events(tmp_path)[-1], CLOCK.read()
    place.journal.close()
    again = Place(tmp_path, name="ra")
    again.station.remember(event, reading.mono_ms, reading.best_ms, reading.boot)
    again.station.take(CardSeen(A, now_ns))
    assert again.signals.shown[-1].signal == "accepted"
    again.journal.close()


def test_a_card_is_not_looked_up_in_a_roster_that_was_made_with_another_key(tmp_path: Path) -> None:
    """The school changes its card key, and the new roster isn't here yet: nobody is refused for it."""
    place = Place(tmp_path, key=CardKey(2, b"\x07" * 32))
    assert place.take(A, 0) == "accepted"
    assert place.last()["reason"] == "no-card-key"
    place.journal.close()


def test_windows_reach_over_a_reboot_by_the_wall_clock(tmp_path: Path) -> None:
    place = Place(tmp_path)
    now_ns = CLOCK.mono_ns()
    place.station.take(CardSeen(A, now_ns - 3 * 10**9))
    event = events(tmp_path)[-1]
    again = Place(tmp_path)
    # As after a reboot: another boot id, CLOCK_BOOTTIME near 0, the wall clock 1 s on.
    again.station.remember(event, 7_000, CLOCK.read().best_ms, "ffffffff")
    assert again.station._recent.pupil_if_repeat(KEY.keyed(A), 7_000)[0]
    assert not again.station._recent.pupil_if_repeat(KEY.keyed(A), 7_000 + 5_000)[0]
    # At 1970 nothing is taken for a repeat.
    third = Place(tmp_path)
    third.station.remember(event, 7_000, 5_000, "ffffffff")
    assert not third.station._recent.pupil_if_repeat(KEY.keyed(A), 7_000)[0]
    for one in (place, again, third):
        one.journal.close()
