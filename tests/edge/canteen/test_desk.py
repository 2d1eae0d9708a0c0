"""Staff at the keypad of a gateway's own counter, while children hold cards again: what is said is what was done."""

from __future__ import annotations

import threading

import pytest

from edge.canteen import counter as room
from edge.kiosk.screens import StationScreens
from edge.ports import HandSeen
from protocol.countersheet import Eater
from protocol.meals import ByHand
from tests.edge.canteen.canteen import BINH, LOST, STRANGER, Canteen, sheet
from tests.edge.canteen.test_staff import Slow
from tests.edge.room import data_of, events


class Desk:
    """The staff's screen of a canteen's first station, on real lanes."""

    def __init__(self, canteen: Canteen) -> None:
        self.canteen = canteen
        clock = canteen.assembly.clock
        self.screens = StationScreens(canteen.counter, "quay-1", lambda: clock.mono_ns() // 1_000_000)

    def press(self, *keys: str) -> str:
        for key in keys:
            self.screens.press(key)
        return self.screens.frames([("staff", "en")])[0]["staff", "en"].html

    def signals(self) -> list[str]:
        return [one.signal for one in self.canteen.shown]

    def records(self) -> list[tuple[str, str | None]]:
        """What was signalled, and which record each answered."""
        made = {event.id: data_of(event) for event in events(self.canteen.data)}
        return [(one.signal, made[str(one.tap)].get("hand", {}).get("of")) for one in self.canteen.shown]


@pytest.fixture
def desk(canteen: Canteen) -> Desk:
    return Desk(canteen)


def test_a_line_serves_its_card_however_often_it_was_held_again(canteen: Canteen, desk: Desk) -> None:
    canteen.tap(STRANGER)
    desk.press("2")
    canteen.tap(LOST)
    canteen.tap(STRANGER)
    newest = str(canteen.shown[-1].tap)
    assert "Served: somebody not known by name" in desk.press("1")
    assert desk.records()[-1] == ("accepted", newest)
    (waits,) = canteen.view().waiting
    assert waits.reason == "lost", "another card waits on"


def test_a_buttons_card_is_served_however_often_it_was_held_again(canteen: Canteen, desk: Desk) -> None:
    canteen.tap(STRANGER)
    button = f"serve:{canteen.view().waiting[0].tap}"
    for _ in range(3):
        canteen.tap(STRANGER)
    assert button in desk.press(), "the button keeps its name under a finger"
    assert "Served: " in desk.press(button)
    page = desk.press(button)
    assert "[gone]" in page and desk.signals().count("accepted") == 1
    assert "done already" not in page, "where a line is gone nobody may read that somebody was served"


def test_a_card_held_again_in_the_midst_of_a_search_waits_no_more_once_its_pupil_is_served(
    canteen: Canteen, desk: Desk
) -> None:
    canteen.tap(STRANGER)
    desk.press("2", "/", "1", "d", "a", "n", "g", "Enter")
    canteen.tap(STRANGER)
    newest = str(canteen.shown[-1].tap)
    page = desk.press("1")
    assert "Served: Đặng Bình" in page and "No card is waiting" in page
    assert desk.records()[-1] == ("accepted", newest) and canteen.view().waiting == ()


def test_what_was_taken_for_one_press_says_that_nothing_was_added(canteen: Canteen, desk: Desk) -> None:
    assert "Served: somebody not known by name" in desk.press("3", "Enter")
    page = desk.press("3", "Enter")
    assert "Served: somebody" not in page
    assert "this press added nothing. Somebody else: press again in 2 s" in page and 'class="notice bad"' in page
    assert desk.signals() == ["accepted"]


def test_a_pupil_served_by_name_behind_their_card_is_said_to_be_recorded_already(canteen: Canteen, desk: Desk) -> None:
    canteen.tap(BINH)
    page = desk.press("1", "d", "a", "n", "g", "Enter", "1")
    assert "Đặng Bình 3/2: recorded already, not counted again" in page and "Served: Đặng Bình" not in page
    assert desk.signals() == ["accepted", "repeated"]
    assert "this press added nothing" in desk.press("1", "d", "a", "n", "g", "Enter", "1")
    assert desk.signals() == ["accepted", "repeated"]


def test_what_waits_for_a_slow_disk_may_still_come_and_is_said_to_have_come(
    canteen: Canteen, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "ANSWER_S", 0.05)
    slow, told = Slow(canteen), threading.Semaphore(0)
    page = desk.press("1", "d", "a", "n", "g", "Enter", "1")
    assert "Đặng Bình 3/2 may still be recorded" in page and "[slow-storage]" in page
    assert "paper" not in page, "what is written on paper and entered later is entered twice"
    assert "[slow-storage]" in desk.press("1", "a"), "it stands until it is known, whatever is pressed"
    canteen.counter.listen(lambda _: told.release())
    slow.go.set()
    assert all(told.acquire(timeout=10) for _ in range(2)), "of the record, and of what came of the press"
    page = desk.press()
    assert desk.signals() == ["accepted"] and "[slow-storage]" not in page
    assert "Đặng Bình 3/2: recorded after all." in page and 'class="notice"' in page
    assert "recorded after all" not in desk.press("*") and canteen.view().tally.served == 1


def test_what_failed_behind_a_slow_disk_is_said_to_have_failed(
    canteen: Canteen, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "ANSWER_S", 0.05)
    slow, told = Slow(canteen, 1), threading.Semaphore(0)
    canteen.counter.listen(lambda _: told.release())
    assert "[slow-storage]" in desk.press("3", "Enter")
    slow.go.set()
    assert all(told.acquire(timeout=10) for _ in range(2))
    page = desk.press()
    assert "enter it later [journal-full]" in page, "it is written on paper now"
    assert "[slow-storage]" not in page and desk.signals() == []


def test_a_stranger_served_by_hand_again_is_judged_by_the_card_that_was_shown(canteen: Canteen, desk: Desk) -> None:
    """Within the window it is the same tray, later the second helping, as with a card that is known."""

    def serve(ago_s: float) -> str:
        canteen.tap(STRANGER, ago_s)
        waits = canteen.view().waiting[0].tap
        lane, clock = canteen.assembly.lanes[0], canteen.assembly.clock
        hand = ByHand("stranger", "-", waits)
        answers: list[str] = []
        asked_ns = clock.mono_ns() - int(ago_s * 1e9)
        lane.station.take(HandSeen(hand, waits, None, asked_ns, lambda *answer: answers.append(answer[2])))
        return answers[0]

    assert serve(60) == "served" and serve(59) == "repeated" and serve(30) == "served"
    made = [data_of(event) for event in events(canteen.data)]
    by_hand = [data for data in made if "hand" in data]
    assert [(data["decision"], data["meal"].get("nth", 1)) for data in by_hand] == [
        ("accepted", 1),
        ("repeated", 1),
        ("accepted", 2),
    ], "and the hub believes what is written"
    assert [(one.nth, one.repeat is not None) for one in canteen.view().recent] == [(2, False), (1, True), (1, False)]
    canteen.tap(STRANGER)
    assert "recorded already, not counted again" not in desk.press("2", "1"), "30 s later, again"
    assert data_of(events(canteen.data)[-1])["meal"]["nth"] == 3
    assert canteen.view().tally.strangers == 1 and canteen.view().tally.seconds == 2


def test_a_class_that_is_typed_is_whole_and_first_and_a_list_that_was_cut_says_so(canteen: Canteen, desk: Desk) -> None:
    class_of = {"2A": "Xuân", "2B": "Yến", "2C": "Vy"}
    eaters = [
        Eater(f"st-{name}-{n}", f"Trần {given} {n}", name, meals=["lunch"])
        for name, given in class_of.items()
        for n in range(39)
    ]
    # Names that the same keys begin stand before them in the alphabet.
    eaters += [Eater(f"st-{n}", f"Lê Bảo {n}", "9/1", meals=["lunch"]) for n in range(300)]
    canteen.lay(sheet(2, eaters=eaters))
    page = desk.press("1", "2", "2", "Enter")
    assert "More than 48: type more" in page
    pages = page + "".join(desk.press("+") for _ in range(7))
    assert [pages.count(f"</b> {name} ") for name in ("2A", "2B", "2C", "9/1")] == [39, 9, 0, 0]
    page = desk.press("Backspace", " ", "8", "9", "Enter")
    assert page.count("</b> 2C ") == 6 and "type more" not in page, "39 of one class are no more than 48"


def test_a_line_that_became_a_repeat_is_neither_undone_nor_redone(canteen: Canteen, desk: Desk) -> None:
    canteen.tap(BINH, ago_s=60)
    canteen.tap(BINH, ago_s=30)
    tap = canteen.view().recent[0].tap
    desk.press("4")
    assert canteen.counter.flip(tap, "-").code is None, "at another screen"
    before = canteen.assembly.journal.last
    for keys in (["1"], [f"undo:{tap}"], [f"redo:{tap}"]):
        page = desk.press(*keys)
        assert "isn&#39;t there any more" in page and "[gone]" in page
        assert "Undone" not in page and "Redone" not in page
    assert canteen.assembly.journal.last == before, "it says what was done: nothing"
    assert "Changed: Đặng Bình" in desk.press(f"flip:{tap}") and "Undone: Đặng Bình" in desk.press(f"undo:{tap}")
