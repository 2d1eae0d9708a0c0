"""Golden meals: sheets, servings and meal days of a day made again from files, and faults told by their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.attendance.csvcells import DayRefused
from hub.attendance.goldenday import FILES
from hub.meals.goldenmeals import MEAL_FILES
from k12edge.days import replay_day

DAY = "2026-11-23"
AN, BE, CHI, DUNG = "st-an", "st-be", "st-chi", "st-dung"


def at(clock: str) -> str:
    return f"{DAY}T{clock}:00.000+07:00"


LINES = {
    "roster.csv": [f"{key},Tên {key},{name},,\n" for key, name in ((AN, "1A"), (BE, "1A"), (CHI, "3A"), (DUNG, "3A"))],
    "cards.csv": [f"c-{key},{key},,\n" for key in (AN, BE, CHI, DUNG)],
    "timetable.csv": [f"{DAY},{name},am,06:30,07:15,,,10:30,\n" for name in ("1A", "3A")],
    "taps.csv": [
        f"t1,cong,cong-a,in,{at('07:00')},,,c-{AN}\n",
        f"t2,quay,quay-1,,{at('10:31')},,,c-{AN}\n",
        f"t3,quay,quay-1,,{at('10:45')},,,c-{AN}\n",
        f"t4,quay,quay-1,,{at('10:33')},,,c-la\n",
        f"t5,quay,quay-1,,{at('10:34')},,,-\n",
        f"t6,quay,quay-2,,{at('11:15')},,,-\n",
        f"t7,quay,quay-2,,{at('11:20')},,,c-{DUNG}\n",
    ],
    "rollcall.csv": [],
    "leave.csv": [f"l1,{at('06:50')},co,{CHI},{DAY},am,{DAY},pm\n"],
    "watermarks.csv": [],
    "menus.csv": [
        f"{DAY},lunch,1,10:30,11:10,1A,quay-1;quay-2,m-1,lo-7\n",
        f"{DAY},lunch,2,11:10,11:50,3A,quay-1;quay-2,m-2,lo-8\n",
    ],
    "enrolment.csv": [
        f"e{n},{at('05:00')},co,{key},2026-09-07,,,lunch,{'porridge' if key == BE else ''}\n"
        for n, key in enumerate((AN, BE, CHI, DUNG), 1)
    ],
    "cuts.csv": [f"x1,{at('08:30')},co,{BE},{DAY},,lunch,\n", f"x2,{at('06:10')},co,{DUNG},{DAY},,,\n"],
    "locks.csv": [f"{DAY},lunch,final,{at('08:00')}\n", f"{DAY},lunch,money,{at('08:00')}\n"],
    "counters.csv": ["t3,,2,,,,\n", "t5,,,stranger,co-hoa,t4,\n", f"t6,,,name,co-hoa,,{CHI}\n"],
    "closures.csv": [],
    "corrections.csv": [],
    "class-lists.csv": [],
}


def written(folder: Path, **changed: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, columns in {**FILES, **MEAL_FILES}.items():
        lines = changed.get(name.removesuffix(".csv").replace("-", "_"), LINES[name])
        (folder / name).write_text(",".join(columns) + "\n" + "".join(lines), encoding="utf-8")
    return folder


def made(folder: Path) -> dict[str, list[list[str]]]:
    list(replay_day(folder, None, folder / "out", False))
    return {
        path.name: [line.split(",") for line in path.read_text("utf-8").splitlines()[1:]]
        for path in (folder / "out").iterdir()
    }


def test_a_lunch_is_made_again_from_files(tmp_path: Path) -> None:
    found = made(written(tmp_path / "day"))
    assert [(r[2], r[4], *r[5:]) for r in found["sheet.csv"]] == [
        ("final", "1A", "2", "0", "1", "0", "1", "0", "2"),
        ("final", "3A", "2", "2", "0", "0", "0", "0", "0"),
        ("now", "1A", "2", "1", "1", "0", "0", "0", "1"),
        ("now", "3A", "2", "2", "0", "0", "0", "0", "0"),
    ]
    assert [(r[4], r[2], r[5], r[6], r[7], r[17], r[18], r[19]) for r in found["servings.csv"]] == [
        (AN, "1", "1", "card", "yes", "t2", "m-1", "lo-7"),
        ("", "1", "1", "stranger", "yes", "t5", "m-1", "lo-7"),
        (AN, "1", "2", "card", "yes", "t3", "m-1", "lo-7"),
        (CHI, "2", "1", "name", "yes", "t6", "m-2", "lo-8"),
        (DUNG, "2", "1", "card", "yes", "t7", "m-2", "lo-8"),
    ]
    assert {r[3]: tuple(r[4:9]) for r in found["meal-days.csv"]} == {
        AN: ("yes", "", "card", "1", "yes"),
        BE: ("yes", "late", "", "0", "yes"),
        CHI: ("yes", "in-time", "hand", "0", "no"),
        DUNG: ("yes", "in-time", "card", "0", "no"),
    }
    # What was tapped at a counter says nothing at a gate.
    marks = {r[3]: r[4] for r in found["marks.csv"]}
    assert marks[AN] == "present" and marks[DUNG] != "present"
    before = {path.name: path.read_bytes() for path in (tmp_path / "day" / "out").iterdir()}
    made(tmp_path / "day")
    assert {path.name: path.read_bytes() for path in (tmp_path / "day" / "out").iterdir()} == before


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"menus": [f"{DAY},brunch,1,10:30,11:10,,quay-1,,\n"]}, "menus.csv, line 2: meal 'brunch'"),
        ({"menus": [f"{DAY},lunch,1,11:30,11:10,,quay-1,,\n"]}, "menus.csv, line 2: opens and closes"),
        ({"menus": [f"{DAY},lunch,9,10:30,11:10,,quay-1,,\n"]}, "menus.csv, line 2: no shift"),
        ({"menus": LINES["menus.csv"][:1] * 2}, "shift 1 on two lines"),
        ({"enrolment": [f"e1,{at('05:00')},co,st-x,2026-09-07,,,lunch,\n"]}, "st-x is not in roster.csv"),
        ({"enrolment": [f"e1,{at('05:00')},co,{AN},2026-09-07,,8,lunch,\n"]}, "enrolment.csv, line 2: weekdays '8'"),
        ({"enrolment": [f"e1,{at('05:00')},co,{AN},2026-09-07,,,tea,\n"]}, "enrolment.csv, line 2: meals 'tea'"),
        ({"enrolment": [f"e1,{at('05:00')},co,{AN},2026-09-07,2026-09-06,,lunch,\n"]}, "don't follow"),
        ({"cuts": [f"x1,{at('08:30')},co,{BE},{DAY},,lunch,x9\n"]}, "there is no cut x9"),
        ({"locks": LINES["locks.csv"][:1] * 2}, "stands on two lines"),
        (
            {"locks": [f"{DAY},dinner,final,{at('08:00')}\n"]},
            f"locks.csv: {DAY} dinner is not in menus.csv; where the school serves none, closures.csv says so",
        ),
        ({"menus": [], "counters": []}, f"locks.csv: {DAY} lunch is not in menus.csv"),
        (
            {"cuts": [f"x1,{at('08:30')},co,{BE},2026-11-20,{DAY},snack,\n"]},
            f"cuts.csv: x1: snack is not in menus.csv on any day from 2026-11-20 to {DAY}",
        ),
        (
            {"class_lists": [f"d1,{at('11:00')},co,1A,{DAY},snack,{at('10:40')},{AN}\n"]},
            f"class-lists.csv: d1: {DAY} snack is not in menus.csv",
        ),
        (
            {"closures": [f"z1,{at('06:00')},hieu-truong,{DAY},snack,\n"]},
            f"closures.csv: z1: {DAY} snack is not in menus.csv; its line there names its counters",
        ),
        ({"closures": [f"z1,{at('06:00')},ht,2026-11-24,,\n"]}, "closures.csv: z1: 2026-11-24 is not in menus.csv"),
        ({"closures": [f"z1,{at('06:00')},ht,{DAY},,maybe\n"]}, "closures.csv, line 2: closed 'maybe'"),
        ({"closures": [f"z1,{at('06:00')},ht,{DAY},,\n"] * 2}, "closures.csv: z1 stands on 2 lines"),
        ({"counters": ["t1,,,,,,\n"]}, "t1 is no tap at a counter"),
        ({"corrections": [f"k1,{at('11:00')},co,t2,eaten\n"]}, "corrections.csv, line 2: why 'eaten'"),
        ({"cuts": LINES["cuts.csv"][:1] * 2}, "cuts.csv: x1 stands on 2 lines"),
        ({"enrolment": LINES["enrolment.csv"][:1] * 3}, "enrolment.csv: e1 stands on 3 lines"),
        ({"counters": ["t3,,2,,,,\n", "t3,repeated,,,,,\n"]}, "counters.csv: t3 stands on 2 lines"),
        ({"corrections": [f"k1,{at('11:00')},co,t2,undone\n"] * 2}, "corrections.csv: k1 stands on 2 lines"),
        ({"counters": ["t5,,,stranger,co-hoa,t99,\n"]}, "counters.csv: t5 is of t99, which is no tap at a counter"),
        ({"counters": ["t6,,,name,co-hoa,,st-x\n"]}, "counters.csv: pupil st-x is not in roster.csv"),
        ({"counters": ["t6,,,name,co-hoa,,\n"]}, "counters.csv: t6 is by name, and names no pupil_key"),
        (
            {"class_lists": [f"d1,{at('11:00')},co,1A,{DAY},lunch,{at('10:40')},{AN};{CHI}\n"]},
            f"class-lists.csv: d1: {CHI} is not of class 1A on {DAY}",
        ),
    ],
)
def test_what_is_wrong_is_told_by_its_line_and_nothing_is_written(
    tmp_path: Path, changed: dict[str, list[str]], why: str
) -> None:
    folder = written(tmp_path / "day", **changed)
    with pytest.raises(DayRefused) as refused:
        made(folder)
    assert why in str(refused.value) and not (folder / "out").exists()


def test_a_cut_that_was_withdrawn_after_the_lock_stood_in_the_frozen_sheet(tmp_path: Path) -> None:
    cuts = [f"x1,{at('07:30')},co,{AN},{DAY},,,\n", f"x2,{at('09:00')},co,{AN},{DAY},,,x1\n"]
    found = made(written(tmp_path / "day", cuts=cuts))
    assert [(r[2], r[6]) for r in found["sheet.csv"] if r[4] == "1A"] == [("final", "1"), ("now", "0")]


def test_a_withdrawal_needs_no_more_than_the_cut_that_it_is_of(tmp_path: Path) -> None:
    cuts = [f"x1,{at('07:30')},co,{AN},{DAY},,,\n", f"x2,{at('09:00')},co,,,,,x1\n"]
    found = made(written(tmp_path / "day", cuts=cuts))
    assert [(r[2], r[6]) for r in found["sheet.csv"] if r[4] == "1A"] == [("final", "1"), ("now", "0")]


@pytest.mark.parametrize(
    ("second", "flags"), [("quay,quay-1", ""), ("quay,quay-2", "apart"), ("quay-khac,quay-1", "apart")]
)
def test_which_helping_it_was_needs_not_be_said_where_the_same_counter_served_before(
    tmp_path: Path, second: str, flags: str
) -> None:
    taps = [
        f"t1,quay,quay-1,,{at('10:31')},,,c-{AN}\n",
        f"t2,quay,quay-1,,{DAY}T10:31:19.999+07:00,,,c-{AN}\n",
        f"t3,{second},,{at('10:45')},,,c-{AN}\n",
        f"t4,quay,quay-1,,{at('10:50')},,,-\n",
        f"t5,quay,quay-1,,{at('10:55')},,,-\n",
    ]
    counters = [f"t4,,,name,co-hoa,,{BE}\n", f"t5,,,name,co-hoa,,{BE}\n"]
    found = made(written(tmp_path / "day", taps=taps, counters=counters))
    assert [(r[4], r[5], r[7], r[8], r[17]) for r in found["servings.csv"]] == [
        (AN, "1", "yes", "", "t1"),
        (AN, "2", "no" if flags else "yes", flags, "t3"),
        (BE, "1", "yes", "", "t4"),
        (BE, "2", "yes", "", "t5"),
    ]


def test_what_a_counter_took_back_is_no_helping_that_it_knew_of(tmp_path: Path) -> None:
    taps = [
        f"t1,quay,quay-1,,{at('10:31')},,,c-{AN}\n",
        f"t2,quay,quay-2,,{at('10:40')},,,c-{AN}\n",
        f"t3,quay,quay-1,,{at('10:45')},,,c-{AN}\n",
    ]
    words = [f"k1,{at('10:32')},co,t1,undone\n"]
    found = made(written(tmp_path / "day", taps=taps, counters=[], corrections=words))
    assert [(r[5], r[8], r[17]) for r in found["servings.csv"]] == [("1", "", "t2"), ("2", "apart", "t3")]


def test_a_same_tray_stands_in_a_replayed_day_where_the_other_counter_took_its_own_back(tmp_path: Path) -> None:
    taps = [
        f"t1,quay,quay-1,,{at('10:31')},,,c-{AN}\n",
        f"t2,quay-khac,quay-2,,{at('10:33')},,,c-{AN}\n",
        f"t3,quay,quay-1,,{at('10:45')},,,c-{BE}\n",
    ]
    words = [f"k1,{at('10:34')},co,t2,repeat\n", f"k2,{at('10:35')},co,t1,undone\n"]
    found = made(written(tmp_path / "day", taps=taps, counters=["t2,,2,,,,\n"], corrections=words))
    assert [(r[4], r[5], r[8], r[17]) for r in found["servings.csv"]] == [(AN, "1", "", "t2"), (BE, "1", "", "t3")]


def lunch(
    folder: Path, seconds: tuple[int, ...], *words: tuple[str, str], counters: tuple[str, ...] = ()
) -> list[tuple[str, str, str]]:
    """One card at one counter so many seconds after 10:31: record, helping and flags of each serving."""
    taps = [f"t{n},quay,quay-1,,{DAY}T10:31:{one:02}.000+07:00,,,c-{AN}\n" for n, one in enumerate(seconds, 1)]
    said = [f"k{n},{DAY}T{clock}.000+07:00,co,{one}\n" for n, (clock, one) in enumerate(words, 1)]
    files = written(folder / "day", taps=taps, counters=[*counters], corrections=said)
    return [(r[17], r[5], r[8]) for r in made(files)["servings.csv"]]


def test_a_counters_window_runs_from_the_last_tray_that_counts(tmp_path: Path) -> None:
    # It isn't prolonged by a repeat; what was taken back opens none; what was said to be a second helping does.
    assert lunch(tmp_path, (0, 13, 26, 39)) == [("t1", "1", ""), ("t3", "2", "")]
    assert lunch(tmp_path, (0, 5, 11), ("10:31:03", "t1,undone")) == [("t2", "1", "")]
    assert lunch(tmp_path, (0, 5, 11), ("10:31:03", "t1,undone"), counters=("t2,repeated,,,,,\n",)) == [("t3", "1", "")]
    assert lunch(tmp_path, (0, 5, 24), ("10:31:07", "t2,second")) == [("t1", "1", ""), ("t2", "2", "")]
    assert lunch(tmp_path, (0, 25, 30, 46), ("10:31:29", "t2,repeat")) == [("t1", "1", ""), ("t3", "2", "")]
    # A counter whose window is shorter says so itself.
    assert lunch(tmp_path, (0, 9), counters=("t2,accepted,2,,,,\n",)) == [("t1", "1", ""), ("t2", "2", "")]


def test_a_word_changes_nothing_of_what_a_counter_had_signalled_before_it(tmp_path: Path) -> None:
    """It had called the card the same tray; no later word makes a serving of that which the hub would not."""
    assert lunch(tmp_path, (0, 5), ("11:00:00", "t1,undone")) == []
    assert lunch(tmp_path, (0, 5), ("11:00:00", "t1,undone"), counters=("t2,repeated,,,,,\n",)) == []
    # The window of the first ran when the others came: the third is a helping, the second and the fourth are none.
    assert lunch(tmp_path, (0, 15, 30, 45), ("12:00:00", "t1,undone")) == [("t3", "1", "")]
    assert lunch(tmp_path, (0, 5, 24), ("10:32:00", "t2,second")) == [("t1", "1", ""), ("t2", "2", ""), ("t3", "3", "")]
    assert lunch(tmp_path, (0, 25, 30, 46), ("10:32:00", "t2,repeat")) == [("t1", "1", ""), ("t4", "2", "")]
    # Said at the very moment is not said before; taken back and given again before is a tray that counts.
    assert lunch(tmp_path, (0, 5), ("10:31:05", "t1,undone")) == []
    assert lunch(tmp_path, (0, 9), ("10:31:03", "t1,undone"), ("10:31:05", "t1,done")) == [("t1", "1", "")]


def test_a_serving_by_name_is_the_pupils_whom_staff_chose_whatever_card_stands_there(tmp_path: Path) -> None:
    taps = [f"t1,quay,quay-1,,{at('10:31')},,,c-{BE}\n"]
    found = made(written(tmp_path / "day", taps=taps, counters=[f"t1,,,name,co-hoa,,{AN}\n"]))
    assert [(r[4], r[6], r[16]) for r in found["servings.csv"]] == [(AN, "name", "-")]


def test_a_tray_of_a_meal_that_the_school_did_not_serve_stays_that_meals(tmp_path: Path) -> None:
    """As at a hub: nobody is registered, who is served all the same ate unregistered, and nobody came by a gate."""
    snack = f"{DAY},snack,1,14:30,15:00,,quay-1;quay-2,,\n"
    changed = {
        "menus": [*LINES["menus.csv"], snack],
        "taps": [f"t2,quay,quay-1,,{at('10:40')},,,c-{AN}\n"],
        "closures": [f"z1,{at('06:00')},hieu-truong,{DAY},lunch,\n"],
        "counters": [],
    }
    found = made(written(tmp_path / "day", **changed))
    assert not [r for r in found["sheet.csv"] if r[1] == "lunch"]
    assert [(r[1], r[4], r[6], r[7], r[8]) for r in found["servings.csv"]] == [("lunch", AN, "card", "yes", "")]
    meals = {(r[1], r[3]): tuple(r[4:9]) for r in found["meal-days.csv"]}
    assert meals == {("lunch", AN): ("no", "", "card", "0", "no")}
    assert "present" not in {r[4] for r in found["marks.csv"]}, "a counter is no gate"
    # Said after the lock, the sheet was frozen before; said again that there is a meal, there is one.
    later = f"z2,{at('09:00')},hieu-truong,{DAY},lunch,no\n"
    found = made(written(tmp_path / "day", **{**changed, "closures": [*changed["closures"], later]}))
    assert {r[2] for r in found["sheet.csv"] if r[1] == "lunch"} == {"now"}
    late = [f"z1,{at('09:00')},hieu-truong,{DAY},,yes\n"]
    found = made(written(tmp_path / "day", **{**changed, "closures": late}))
    assert {r[2] for r in found["sheet.csv"] if r[1] == "lunch"} == {"final"}


def test_without_its_files_a_day_has_no_meals(tmp_path: Path) -> None:
    folder = written(tmp_path / "day")
    for name in MEAL_FILES:
        (folder / name).unlink()
    assert made(folder).keys() == {"marks.csv", "counts.csv"}
