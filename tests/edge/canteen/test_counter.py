"""The counter on a real gateway: cards, hands, corrections, shifts, and what screens see of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edge.canteen.ports import Counter, Done
from edge.salvage import mark_damaged
from protocol.served import Told
from tests.edge.canteen.canteen import AN, BINH, KEY, LOST, STRANGER, TODAY, Canteen, sheet
from tests.edge.room import data_of, events


def again(done: Done) -> Done:
    """The answer to a press that nothing was written for, since this one is its answer."""
    return replace(done, came="pressed")


def test_a_card_is_served_and_said_with_its_meal_and_a_later_one_is_a_second_helping(canteen: Canteen) -> None:
    screens: Counter = canteen.counter
    heard: list[str] = []
    end = screens.listen(heard.append)
    assert canteen.tap(AN, ago_s=30) == "accepted"
    view = canteen.view()
    assert heard == ["quay-1"] and view.shown.shape == "accepted"
    assert (view.shown.name, view.shown.school_class, view.shown.nth) == ("Nguyễn Thị Hoà An", "1A", 1)
    assert (view.shown.portion, view.shown.alerts, view.shown.confirmed) == ("porridge", ("lạc / peanut",), True)
    assert data_of(events(canteen.data)[-1])["meal"] == {"day": TODAY, "meal": "lunch"}
    assert canteen.tap(AN, ago_s=25) == "repeated"
    assert canteen.view().shown.shape == "repeated"
    assert canteen.tap(AN) == "accepted"
    assert data_of(events(canteen.data)[-1])["meal"] == {"day": TODAY, "meal": "lunch", "nth": 2}
    view = canteen.view()
    assert (view.shown.shape, view.shown.nth) == ("second", 2)
    tally = view.tally
    assert (tally.expected, tally.served, tally.seconds, tally.strangers, tally.left) == (2, 1, 1, 0, 1)
    assert [(entry.nth, entry.repeat) for entry in view.recent] == [(2, None), (1, view.recent[2].tap), (1, None)]
    end()
    canteen.tap(BINH)
    assert len(heard) == 3


def test_who_is_not_known_is_referred_waits_for_staff_and_is_served_with_one_touch(canteen: Canteen) -> None:
    for card, reason in ((STRANGER, "unknown"), (LOST, "lost")):
        assert canteen.tap(card) == "refused"
        assert canteen.view().waiting[0].reason == reason
        event = events(canteen.data)[-1]
        assert event.name == "meal.referred" and "meal" not in data_of(event)
    canteen.tap(STRANGER)
    newest, waiting = events(canteen.data)[-1].id, canteen.view().waiting
    assert [entry.reason for entry in waiting] == ["unknown", "lost"], "one card waits once"
    done = canteen.counter.serve_stranger("quay-1", waiting[0].tap, "u-7")
    assert done.code is None and done.tap is not None
    assert canteen.counter.serve_stranger("quay-1", waiting[0].tap, "u-7") == again(done), "it was answered already"
    event = events(canteen.data)[-1]
    data = data_of(event)
    assert (event.name, event.id) == ("meal.pickup", done.tap)
    assert data["hand"] == {"how": "stranger", "by": "u-7", "of": newest} and data["student"] is None
    view = canteen.view()
    assert [entry.reason for entry in view.waiting] == ["lost"]
    assert view.tally.strangers == 1 and view.tally.left == 2, "nobody expected came by it"
    assert canteen.shown[-1].signal == "accepted" and canteen.shown[-1].card == data["card"]


def test_a_referred_cards_pupil_who_is_known_by_sight_is_served_by_name(canteen: Canteen) -> None:
    canteen.tap(LOST)
    (waits,) = canteen.view().waiting
    done = canteen.counter.serve_name("quay-1", "st-binh", "u-7", waits.tap)
    data = data_of(events(canteen.data)[-1])
    assert data["hand"] == {"how": "name", "by": "u-7", "of": waits.tap} and data["student"] == "st-binh"
    assert canteen.view().waiting == () and canteen.view().tally.served == 1
    assert canteen.counter.serve_stranger("quay-1", waits.tap, "u-7") == again(done), "another page's finger came late"
    assert canteen.counter.serve_name("quay-1", "st-an", "u-7", "<no record>").code is None, "and somebody eats"
    assert "of" not in data_of(events(canteen.data)[-1])["hand"]


def test_a_pupil_without_a_card_is_served_by_name_once_however_often_it_is_pressed(canteen: Canteen) -> None:
    assert [eater.student for eater in canteen.counter.find("dang")] == ["st-binh"]
    first = canteen.counter.serve_name("quay-1", "st-binh", "u-7")
    assert first.code is None
    assert canteen.counter.serve_name("quay-1", "st-binh", "u-7") == again(first)
    data = data_of(events(canteen.data)[-1])
    assert (
        data["card"].startswith("hk1:")
        and data["student"] == "st-binh"
        and data["hand"] == {"how": "name", "by": "u-7"}
    )
    assert len(canteen.shown) == 1
    assert canteen.tap(BINH) == "repeated", "the card that was found after all is for the same tray"
    assert canteen.view().tally.served == 1
    assert canteen.counter.serve_name("quay-1", "st-nobody", "u-7").code == "pupil-unknown"


def test_what_is_taken_back_is_no_serving_and_the_next_touch_counts(canteen: Canteen) -> None:
    canteen.tap(AN)
    tap = canteen.view().recent[0].tap
    assert canteen.counter.undo(tap, "u-7").code is None
    word = events(canteen.data)[-1]
    assert word.name == "meal.correction" and data_of(word)["why"] == "undone" and data_of(word)["tap"] == tap
    assert canteen.counter.undo(tap, "u-7").tap is None, "again is no fault, and no record"
    view = canteen.view()
    assert view.recent[0].undone and (view.tally.served, view.tally.left) == (0, 2)
    assert canteen.tap(AN) == "accepted"
    assert data_of(events(canteen.data)[-1])["meal"].get("nth", 1) == 1
    assert canteen.counter.redo(tap, "u-7").code is None
    assert (canteen.view().tally.served, canteen.view().tally.seconds) == (1, 1)
    assert canteen.counter.undo("0123456789abcdef.9", "u-7").code == "serving-unknown"


def test_a_repeat_is_turned_into_a_second_helping_and_back(canteen: Canteen) -> None:
    canteen.tap(AN, ago_s=5)
    canteen.tap(AN)
    repeat, first = canteen.view().recent
    assert canteen.counter.flip(repeat.tap, "u-7").code is None
    view = canteen.view()
    assert (view.tally.served, view.tally.seconds, view.recent[0].nth, view.recent[0].repeat) == (1, 1, 2, None)
    assert canteen.counter.flip(repeat.tap, "u-7").code is None
    view = canteen.view()
    assert (view.tally.seconds, view.recent[0].repeat) == (0, first.tap)
    assert canteen.counter.flip(first.tap, "u-7").code == "no-second"
    assert [data_of(event)["why"] for event in events(canteen.data)[-2:]] == ["second", "repeat"]


def test_everything_comes_back_after_a_restart(tmp_path: Path) -> None:
    before = Canteen(tmp_path)
    before.roster()
    before.lay()
    before.run()
    before.tap(AN, ago_s=40)
    before.tap(AN, ago_s=3)
    before.tap(BINH, ago_s=2)
    before.counter.undo(before.view().recent[0].tap, "-")
    before.counter.serve_stranger("quay-1", None, "-")
    before.tap(STRANGER)
    told = before.view()
    before.close()
    after = Canteen(tmp_path)
    view = after.view()
    assert (view.tally, view.recent, view.waiting, view.sheet_day) == (told.tally, told.recent, told.waiting, TODAY)
    assert after.tap(AN) == "repeated", "the tray in the hand is the same one"
    assert after.tap(BINH) == "accepted", "what was taken back left no window"
    after.close()


def test_a_second_helping_stays_one_where_the_first_was_at_another_counter_that_is_not_heard_any_more(
    tmp_path: Path,
) -> None:
    before = Canteen(tmp_path)
    before.roster()
    before.lay()
    before.run()
    before.counter.heard("quay-b", [Told(1, "b0b0b0b0b0b0b0b0.1", KEY.keyed(AN), "st-an", TODAY, "lunch")])
    before.tap(AN, ago_s=3)
    assert before.view().recent[0].nth == 2
    tap = before.view().recent[0].tap
    before.close()
    after = Canteen(tmp_path)
    assert (after.view().recent[0].tap, after.view().recent[0].nth) == (tap, 2)
    assert after.counter.flip(tap, "u-7").code is None, "staff can still say that it was the same tray"
    after.close()


def test_what_a_damaged_file_gives_back_is_counted_too(tmp_path: Path) -> None:
    before = Canteen(tmp_path)
    before.roster()
    before.lay()
    before.tap(AN, ago_s=40)
    before.tap(BINH, ago_s=30)
    before.counter.undo(before.view().recent[0].tap, "-")
    before.close()
    mark_damaged(before.data)
    after = Canteen(tmp_path)
    assert after.warned[0].code == "journal-damaged" and after.view().tally.served == 0
    after.tap(BINH)
    after.assembly.delivery.turn()
    view = after.view()
    assert (view.tally.served, view.tally.seconds, len(view.recent)) == (2, 0, 1)
    after.assembly.delivery.turn()
    assert after.view().tally == view.tally
    assert after.tap(AN) == "accepted" and after.view().shown.nth == 2
    after.close()


def test_a_sheet_in_which_only_its_age_is_new_makes_nothing_anew(canteen: Canteen) -> None:
    canteen.tap(AN)
    census, finder = canteen.counter.hatch.census, canteen.counter._index()
    assert canteen.lay(sheet(2, made="2026-11-27T08:00:00+07:00")) and canteen.counter.store.version == 2
    assert canteen.counter.hatch.census is census and canteen.counter._index() is finder
    assert canteen.lay(sheet(3, eaters=sheet().eaters[:1]))
    assert canteen.counter.hatch.census is not census and canteen.view().tally.expected == 1
    assert [eater.student for eater in canteen.counter.find("dang")] == ["st-binh"], "the roster knows him still"


def test_the_same_card_at_the_gateways_other_counter_is_a_second_helping_at_once(tmp_path: Path) -> None:
    canteen = Canteen(tmp_path, ("quay-1", "quay-2"))
    canteen.roster()
    canteen.lay()
    heard: list[str] = []
    canteen.counter.listen(heard.append)
    assert canteen.tap(AN) == "accepted" and canteen.tap(AN, station=1) == "accepted"
    assert canteen.view("quay-2").shown.shape == "second" and canteen.view().shown.shape == "accepted"
    assert canteen.view().tally == canteen.view("quay-2").tally
    assert [len(canteen.view(station).recent) for station in canteen.counter.stations()] == [1, 1]
    assert heard == ["quay-1", "quay-2"] * 2, "the numbers are both screens'"
    canteen.close()


def test_a_sheet_is_kept_for_ever_and_only_a_higher_version_replaces_it(canteen: Canteen) -> None:
    assert not canteen.lay(sheet(1, day="2026-01-01"))
    assert canteen.lay(sheet(2, second="ask"))
    canteen.tap(AN, ago_s=30)
    canteen.tap(AN)
    assert data_of(events(canteen.data)[-1])["meal"] == {"day": TODAY, "meal": "lunch", "nth": 2, "ask": True}
    assert canteen.view().shown.ask
