"""Staff at a counter: shifts by PIN and by card, fingers that touch twice, a slow disk, one that takes nothing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.canteen import counter as room
from edge.canteen.others import ABSENT_MS
from edge.canteen.ports import Done
from edge.canteen.shifts import FREE_TRIES
from edge.lane import WAITING_MAX
from edge.ports import CardSeen, Warning_
from protocol.cards import CardUid
from protocol.countersheet import Eater, MealPlan, Shift
from protocol.errors import JournalFull
from protocol.meals import Face
from protocol.served import Told
from tests.edge.canteen.canteen import AN, BINH, KEY, LOST, PIN, STAFF, STRANGER, TODAY, Canteen, hashed, sheet
from tests.edge.room import data_of, events
from tests.edge.running import until

STAFFED: dict[str, Any] = {"pins": {"u-6": hashed("135791"), "u-7": hashed(PIN)}, "cards": {KEY.keyed(STAFF): "u-8"}}
STAFFED["staff"] = {"u-7": "Cô Hoa"}


def test_a_shift_is_taken_with_a_pin_and_serving_never_waits_for_it(canteen: Canteen) -> None:
    counter = canteen.counter
    assert not canteen.view().needs_login, "where the school gave nobody a PIN none is asked for"
    assert counter.log_in("quay-1", "1").code is None and canteen.view().shift_by is None
    canteen.lay(sheet(2, **STAFFED))
    assert canteen.view().needs_login
    assert canteen.tap(AN) == "accepted" and counter.serve_name("quay-1", "st-binh", "").code is None
    assert data_of(events(canteen.data)[-1])["hand"]["by"] == "-"
    tap = canteen.view().recent[0].tap
    assert counter.undo(tap, "x").code == "shift-needed", "what changes numbers is somebody's"
    for wrong in ("", "1" * 4_000, "u-7"):
        assert counter.log_in("quay-1", wrong).code == "pin-wrong"
    done = counter.log_in("quay-1", PIN)
    assert done.code == "pin-wait" and 0 < done.wait_s <= 5, "even the right one waits"
    assert canteen.view().needs_login
    canteen.counter._shifts.right("quay-1")
    assert counter.log_in("quay-1", PIN).code is None
    assert (canteen.view().shift_by, canteen.view().needs_login) == ("u-7", False)
    assert canteen.view().shift_name == "Cô Hoa" and canteen.view().pins
    assert counter.undo(tap, "u-7").code is None
    assert counter.log_out("quay-1").code is None and canteen.view().needs_login
    assert not canteen.view().shift_name
    recorded = repr([data_of(event) for event in events(canteen.data)])
    assert PIN not in recorded and "Hoa" not in recorded


def test_shift_and_wait_come_back_after_a_restart(tmp_path: Path) -> None:
    before = Canteen(tmp_path, ("quay-1", "quay-2"))
    before.lay(sheet(2, **STAFFED))
    before.counter.log_in("quay-2", PIN)
    for _ in range(FREE_TRIES):
        before.counter.log_in("quay-1", "000000")
    before.close()
    after = Canteen(tmp_path, ("quay-1", "quay-2"))
    assert after.view("quay-2").shift_by == "u-7"
    assert after.counter.log_in("quay-1", PIN).code == "pin-wait"
    after.close()


def test_a_staff_card_takes_the_shift_and_is_no_serving(canteen: Canteen) -> None:
    canteen.lay(sheet(2, **STAFFED))
    last = canteen.assembly.journal.last
    heard: list[str] = []
    canteen.counter.listen(heard.append)
    assert canteen.tap(STAFF) == "-" and canteen.assembly.journal.last == last
    assert (canteen.view().shift_by, canteen.view().shift_name) == ("u-8", "") and heard == ["quay-1"]
    canteen.lay(sheet(3))
    assert canteen.tap(STAFF) == "refused", "a card that the sheet doesn't name any more is any card"


@pytest.mark.parametrize(("card", "signal"), [(AN, "accepted"), (LOST, "refused")])
def test_a_card_that_the_roster_names_is_a_pupils_tap_whoever_else_has_it(
    canteen: Canteen, card: CardUid, signal: str
) -> None:
    canteen.lay(sheet(2, cards={KEY.keyed(card): "u-8"}))
    last = canteen.assembly.journal.last
    assert canteen.tap(card) == signal and canteen.assembly.journal.last == last + 1
    assert canteen.view().shift_by is None, "it takes no shift"


def test_a_shift_ends_with_the_sheet_that_no_longer_names_its_holder(tmp_path: Path) -> None:
    before = Canteen(tmp_path, ("quay-1", "quay-2"))
    before.lay(sheet(2, **STAFFED))
    before.counter.log_in("quay-1", PIN)
    before.tap(STAFF, station=1)
    heard: list[str] = []
    before.counter.listen(heard.append)
    fewer = {"pins": {"u-6": STAFFED["pins"]["u-6"]}, "cards": STAFFED["cards"], "staff": {}}
    before.lay(sheet(3, **fewer))
    assert (before.view("quay-1").shift_by, before.view("quay-2").shift_by) == (None, "u-8")
    assert before.view("quay-1").needs_login and heard[-1] == "quay-1", "the screen is told"
    # A lane that still had the sheet before: what it began ends at the next look.
    before.counter.take_shift("quay-1", "u-7")
    before.counter.tend()
    assert before.view("quay-1").shift_by is None
    before.counter.take_shift("quay-1", "u-7")
    before.close()
    after = Canteen(tmp_path, ("quay-1", "quay-2"))
    after.counter.tend()
    assert (after.view("quay-1").shift_by, after.view("quay-2").shift_by) == (None, "u-8")
    after.close()


def test_two_pages_that_guess_at_once_are_looked_at_one_after_the_other(canteen: Canteen) -> None:
    canteen.lay(sheet(2, **STAFFED))
    codes: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: codes.append(canteen.counter.log_in("quay-1", "000000").code)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes, key=str) == ["pin-wait"] * (6 - FREE_TRIES) + ["pin-wrong"] * FREE_TRIES


class Slow:
    """A journal whose commits wait until they are let go; the first `failing` of them fail."""

    def __init__(self, canteen: Canteen, failing: int = 0) -> None:
        self.real, self.go, self.failing = canteen.assembly.journal, threading.Event(), failing
        self.asked = threading.Semaphore(0)
        canteen.assembly.lanes[0].station._journal = self  # type: ignore[assignment]

    def append(self, *values: Any) -> Any:
        self.asked.release()
        assert self.go.wait(20)
        if self.failing:
            self.failing -= 1
            raise JournalFull("no space")
        return self.real.append(*values)


@pytest.mark.parametrize("failing", [0, 1])
def test_impatient_fingers_on_a_slow_disk_make_one_serving(canteen: Canteen, failing: int) -> None:
    slow = Slow(canteen, failing)
    done: list[Any] = []
    presses = [
        threading.Thread(target=lambda: done.append(canteen.counter.serve_name("quay-1", "st-binh", "-")))
        for _ in range(4)
    ]
    for press in presses:
        press.start()
    assert slow.asked.acquire(timeout=10)
    slow.go.set()
    for press in presses:
        press.join(20)
    assert sorted(str(one.code) for one in done) == sorted(["journal-full"] * failing + ["None"] * (4 - failing))
    assert len({one.tap for one in done if one.tap}) == 1 and len(canteen.shown) == 1
    assert sorted(one.came for one in done if one.tap) == ["pressed"] * (3 - failing) + ["served"]
    assert canteen.view().tally.served == 1


def test_a_press_waits_for_its_turn_and_no_longer_than_is_stated(
    canteen: Canteen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "ANSWER_S", 0.05)
    slow = Slow(canteen)
    assert canteen.counter.serve_name("quay-1", "st-binh", "-").code == "slow-storage"
    shown = threading.Event()
    canteen.counter.listen(lambda _: shown.set())
    slow.go.set()
    assert shown.wait(10), "it was written all the same, and screens are told"
    assert canteen.view().tally.served == 1


def test_where_nothing_can_be_written_it_is_said_until_something_is(canteen: Canteen) -> None:
    slow = Slow(canteen, 2)
    slow.go.set()
    assert canteen.tap(AN) == "-" and canteen.counter.serve_stranger("quay-1", None, "-").code == "journal-full"
    view = canteen.view()
    assert (view.failing, view.shown.shape, view.shown.code) == ("journal-full", "alarm", "journal-full")
    assert view.tally.served == 0 and view.recent == ()
    canteen.assembly.journal.note("device.alarm", {"code": "x", "detail": "of whatever part"})
    assert canteen.view().failing is None
    assert canteen.tap(AN) == "accepted" and canteen.view().tally.served == 1


def test_a_correction_that_can_not_be_written_changes_nothing(
    canteen: Canteen, monkeypatch: pytest.MonkeyPatch
) -> None:
    canteen.tap(AN)

    def full(*_: object) -> None:
        raise JournalFull("no space")

    monkeypatch.setattr(canteen.counter._journal, "note", full)
    tap = canteen.view().recent[0].tap
    assert canteen.counter.undo(tap, "-").code == "journal-full"
    assert not canteen.view().recent[0].undone and canteen.view().failing == "journal-full"
    monkeypatch.undo()
    assert canteen.counter.undo(tap, "-").code is None and canteen.view().failing is None


def test_two_fingers_that_take_back_at_once_write_one_word(canteen: Canteen) -> None:
    canteen.tap(AN)
    tap = canteen.view().recent[0].tap
    threads = [threading.Thread(target=canteen.counter.undo, args=(tap, "-")) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.name for event in events(canteen.data)].count("meal.correction") == 1


def test_strangers_without_a_card_are_each_somebody_else_but_not_within_a_finger_that_bounces(canteen: Canteen) -> None:
    first = canteen.counter.serve_stranger("quay-1", None, "-")
    assert canteen.counter.serve_stranger("quay-1", None, "-") == Done(None, first.tap, came="pressed")
    place = canteen.counter.hatch._places["quay-1"]
    assert place.pressed is not None
    place.pressed = (None, place.pressed[1] - room_press_ns(), place.pressed[2])
    assert canteen.counter.serve_stranger("quay-1", None, "-").tap != first.tap
    assert canteen.view().tally.strangers == 2


def room_press_ns() -> int:
    from edge.canteen.hatch import PRESS_NS

    return PRESS_NS


def test_whatever_a_press_says_it_answers_somebody_is_served(canteen: Canteen) -> None:
    done = canteen.counter.serve_stranger("quay-1", "x" * 100_000, "")
    assert done.code is None and "of" not in data_of(events(canteen.data)[-1])["hand"]
    canteen.lay(sheet(2, eaters=[Eater("học-sinh-1", "Chi", "1A")]))
    assert canteen.counter.serve_name("quay-1", "học-sinh-1", "k" * 1_000).code is None
    assert canteen.view().recent[0].name == "Chi"


def test_a_serving_that_was_taken_back_is_asked_for_again_at_once(canteen: Canteen) -> None:
    first = canteen.counter.serve_name("quay-1", "st-binh", "-")
    assert first.tap is not None and canteen.counter.undo(first.tap, "-").code is None
    again = canteen.counter.serve_name("quay-1", "st-binh", "-")
    assert again.code is None and again.tap != first.tap
    canteen.tap(STRANGER)
    waiting = canteen.view().waiting[0].tap
    answer = canteen.counter.serve_stranger("quay-1", waiting, "-")
    assert answer.tap is not None and canteen.counter.undo(answer.tap, "-").code is None
    assert canteen.counter.serve_stranger("quay-1", waiting, "-").tap != answer.tap


@pytest.mark.parametrize("face", ["good", "fair", "bad"])
def test_a_face_is_recorded_of_nobody(canteen: Canteen, face: Face) -> None:
    assert canteen.counter.rate("quay-1", face).code is None
    event = events(canteen.data)[-1]
    data = data_of(event)
    assert (event.name, event.subject) == ("meal.rated", None)
    assert {name: data[name] for name in ("point", "day", "meal", "face")} == {
        "point": "quay-1",
        "day": TODAY,
        "meal": "lunch",
        "face": face,
    }
    assert canteen.counter.rate("quay-1", "awful").code == "no-meal"  # type: ignore[arg-type]


def test_alarms_and_waits_of_the_station_are_shown_and_those_of_the_gateway_are_not(canteen: Canteen) -> None:
    canteen.assembly.warn(Warning_("wait", "quay-1", None, "slow-storage"))
    assert (canteen.view().shown.shape, canteen.view().shown.code) == ("wait", "slow-storage")
    canteen.assembly.warn(Warning_("alarm", None, None, "disk-low"))
    assert canteen.view().shown.shape == "wait"


class Others:
    """An exchange that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.silent: tuple[str, ...] = ()

    def said(self, told: Told) -> None:
        self.told.append(told)

    def unheard(self) -> tuple[str, ...]:
        return self.silent


def test_other_counters_are_told_and_heard_and_who_is_not_heard_is_said(tmp_path: Path) -> None:
    counters = {"quay-a": "A" * 43, "quay-b": "B" * 43}
    before = Canteen(tmp_path)
    before.roster()
    before.lay(sheet(2, counters=counters))
    before.tap(BINH, ago_s=60)
    before.counter.undo(before.view().recent[0].tap, "-")
    assert before.counter.keys() == {"quay-b": "B" * 43} and before.view().tally.unheard == ("quay-b",)
    before.close()
    canteen, others = Canteen(tmp_path), Others()
    canteen.counter.join(others)
    assert [(told.student, told.taken_back) for told in others.told] == [("st-binh", True)], "of before the restart"
    canteen.tap(AN, ago_s=40)
    assert canteen.view().shown.alone is False and others.told[-1].taken_back is False
    canteen.tap(AN, ago_s=39)
    assert len(others.told) == 2, "a repeat is no serving"
    canteen.counter.flip(canteen.view().recent[0].tap, "-")
    assert (len(others.told), others.told[-1].student) == (3, "st-an")
    others.silent = ("quay-b",)
    heard: list[str] = []
    canteen.counter.listen(heard.append)
    theirs = Told(1, "b.1", "hk1:x", "st-binh", TODAY, "lunch")
    canteen.counter.heard("quay-b", [Told(2, "b.2", "hk1:y", None, "2031-01-01", "lunch")])
    assert heard == [], "a counter whose clock is years away fills no book of ours"
    canteen.counter.heard("quay-b", [theirs])
    assert heard == ["quay-1"] and canteen.view().tally.served == 2 and canteen.view().tally.unheard == ("quay-b",)
    canteen.counter.heard("quay-b", [theirs])
    assert heard == ["quay-1"], "nothing changed"
    canteen.tap(BINH)
    shown = canteen.view().shown
    assert (shown.shape, shown.nth, shown.alone) == ("second", 2, True)
    canteen.close()


def test_a_stranger_whose_card_is_bound_since_has_had_a_tray_at_every_counter(tmp_path: Path) -> None:
    counters = {"quay-a": "A" * 43, "quay-b": "B" * 43}
    first, others = Canteen(tmp_path, ("quay-1", "quay-2")), Others()
    first.roster()
    first.lay(sheet(2, counters=counters))
    first.counter.join(others)
    first.run()
    assert first.tap(STRANGER, ago_s=50) == "refused"
    [waits] = first.view().waiting
    assert first.counter.serve_stranger("quay-1", waits.tap, "-").code is None
    assert first.view().tally.strangers == 1 and others.told[-1].card == KEY.keyed(STRANGER)
    first.close()
    # After a restart, too; and where the tray was at another gateway's counter.
    again = Canteen(tmp_path, ("quay-1", "quay-2"))
    (tmp_path / "b").mkdir()
    theirs = Canteen(tmp_path / "b")
    theirs.roster()
    theirs.lay(sheet(2, counters={"quay-a": "A" * 43, "quay-z": "Z" * 43}))
    theirs.counter.heard("quay-z", others.told)
    for canteen, station in ((again, 1), (theirs, 0)):
        canteen.roster(2, chi=STRANGER)
        assert canteen.tap(STRANGER, station=station) == "accepted"
        view = canteen.view("quay-2" if station else "quay-1")
        assert (view.shown.shape, view.shown.nth) == ("second", 2)
        assert (view.tally.served, view.tally.seconds, view.tally.strangers) == (1, 1, 0)
        assert data_of(events(canteen.data)[-1])["meal"]["nth"] == 2, "the record says it, too"
        canteen.close()


def test_a_late_word_counts_in_the_shift_it_says_and_one_that_says_none_in_the_shift_of_the_moment(
    canteen: Canteen,
) -> None:
    counters = {"quay-a": "A" * 43, "quay-b": "B" * 43}
    hours = [Shift(1, "00:00", "23:59", [], "A", ["elsewhere"]), Shift(2, "00:00", "23:59")]
    canteen.lay(sheet(2, counters=counters, meals=[MealPlan("lunch", hours)]))
    others = Others()
    canteen.counter.join(others)
    canteen.tap(STRANGER)
    assert canteen.counter.serve_stranger("quay-1", canteen.view().waiting[0].tap, "-").code is None
    assert others.told[-1].shift == 2 and canteen.view().tally.strangers == 1
    canteen.counter.heard("quay-b", [Told(1, "b.1", "hk1:y", None, TODAY, "lunch", shift=1)])
    assert canteen.view().tally.strangers == 1, "who ate in the first shift is none of the second"
    older = msgspec.json.decode(
        b'{"place":2,"tap":"b.2","card":"hk1:z","student":null,"day":"%s","meal":"lunch"}' % TODAY.encode(), type=Told
    )
    canteen.counter.heard("quay-b", [older])
    assert canteen.view().tally.strangers == 2, "an older counter says no shift"


def test_a_counter_that_stands_in_a_cupboard_makes_no_serving_doubtful(canteen: Canteen) -> None:
    counters = {"quay-a": "A" * 43, "quay-b": "B" * 43, "quay-c": "C" * 43}
    canteen.lay(sheet(2, counters=counters))
    others, known = Others(), canteen.counter.hatch.others
    canteen.counter.join(others)
    assert not known.is_alone(0)
    others.silent = ("quay-c",)
    assert known.is_alone(1_000), "it may be serving"
    assert known.is_alone(ABSENT_MS - 1), "all through a lunch"
    assert not known.is_alone(ABSENT_MS) and known.unheard() == ("quay-c",), "its silence is shown all the same"
    others.silent = ("quay-b", "quay-c")
    assert known.is_alone(9 * ABSENT_MS), "who hears nobody may be the one that is cut off"
    others.silent = ()
    assert not known.is_alone(9 * ABSENT_MS + 1)
    others.silent = ("quay-c",)
    assert known.is_alone(9 * ABSENT_MS + 2), "it was there just now"


def test_what_changes_by_itself_is_told_to_whoever_listens(canteen: Canteen) -> None:
    states = {"quay-1": "ready"}
    canteen.assembly.readers = lambda: states
    canteen.counter.tend()
    heard: list[str] = []
    canteen.counter.listen(heard.append)
    canteen.counter.tend()
    assert heard == []
    states["quay-1"] = "reader-lost"
    canteen.counter.tend()
    assert heard == ["quay-1"] and canteen.view().reader == "reader-lost"
    with pytest.raises(KeyError):
        canteen.view("nowhere")


def test_a_listener_that_fails_stops_nobody(canteen: Canteen) -> None:
    def failing(_: str) -> None:
        raise RuntimeError("a screen's fault")

    heard: list[str] = []
    canteen.counter.listen(failing)
    canteen.counter.listen(heard.append)
    assert canteen.tap(AN) == "accepted" and heard == ["quay-1"]


def test_a_fault_of_a_press_is_answered_at_once_and_the_lane_goes_on(
    canteen: Canteen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(room, "ANSWER_S", 5.0)
    monkeypatch.setattr(canteen.assembly.lanes[0].station, "_serve", broken)
    assert canteen.counter.serve_name("quay-1", "st-binh", "-").code == "internal-fault"
    monkeypatch.undo()
    assert canteen.counter.serve_name("quay-1", "st-binh", "-").code is None


def test_a_full_lane_is_said_at_once(canteen: Canteen, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(canteen)
    lane = canteen.assembly.lanes[0]
    clock = canteen.assembly.clock
    lane.put(CardSeen(AN, clock.mono_ns()))
    assert slow.asked.acquire(timeout=10)
    for _ in range(WAITING_MAX):
        lane.put(CardSeen(BINH, clock.mono_ns()))
    assert canteen.counter.serve_name("quay-1", "st-binh", "-").code == "lane-full"
    slow.go.set()
    until(lambda: lane.progress() is None, "the lane is empty")


def test_a_fault_in_counting_costs_the_count_and_never_the_tray(
    canteen: Canteen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(canteen.counter.hatch._book, "judge", broken)
    monkeypatch.setattr(canteen.counter.hatch._book, "note", broken)
    assert canteen.tap(AN) == "accepted" and canteen.warned == []
