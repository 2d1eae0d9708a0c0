"""A list and a hub's own tables: compared with what is known, written whole, in one transaction, once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.attendance.schoolday import VIETNAM
from hub.config import hub_config_from
from hub.desks.otherlists import TAKEN
from hub.lists.changes import Change, ListGuarded
from hub.lists.faults import ListRefused
from hub.lists.known import KnownPupil, class_on
from hub.lists.lines import PupilLine
from hub.lists.telling import told
from hub.lists.templates import TEMPLATES
from hub.papers import wrapped
from hub.parts import Store
from hub.store.listrows import ListRows
from k12edge.cli import main
from k12edge.listwords import LISTS
from tests.hub.lists.school import book, c1, known_of, oneroster, packed, pupils
from tests.hub.running import HubProcess

DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "hub").mkdir()
    made = Store(config(tmp_path))
    yield made
    made.database.close()


def config(folder: Path) -> Any:
    return hub_config_from("hub.toml", {"hub": {"id": "h", "school": "s", "data_dir": str(folder / "hub")}})


def today() -> date:
    return datetime.now(VIETNAM).date()


def asked(store: Store, action: str, octets: bytes, **words: str) -> dict[str, Any]:
    paper = {"file": "/x/ds.xlsx", "paper": wrapped(octets), "by": "tester"} | words
    found: dict[str, Any] = json.loads(store.carry_out(action, paper).text)
    return found


def known(store: Store) -> dict[str, KnownPupil]:
    """By the school's code, or our key."""
    with store.database.transaction():
        return {pupil.code or pupil.key: pupil for pupil in ListRows(store.database, store.people).known()}


def test_what_is_written_is_what_is_known_afterwards(store: Store) -> None:
    rows = ListRows(store.database, store.people)
    before = [replace(pupil, birth=None) for pupil in known_of(pupils(5))]
    with store.database.transaction():
        rows.write([Change("new", ("new",), None, pupil) for pupil in before], today())
        assert rows.known() == tuple(before)
        version = store.people.version
        one, other = before[:2]
        swapped = [
            Change("updated", ("code",), one, replace(one, code=other.code)),
            Change("updated", ("code",), other, replace(other, code=one.code)),
            Change("new", ("new",), None, replace(one, key="", code=None, enrolments=())),
        ]
        rows.write(swapped, today())
        rows.write([], today())
        assert store.people.version == version + 1
        after = rows.known()
    assert [pupil.code for pupil in after if pupil.key in ("st-0", "st-1")] == [other.code, one.code]
    (minted,) = {pupil.key for pupil in after} - {pupil.key for pupil in before}
    assert minted.startswith("st-") and len(minted) == 19


def test_a_list_is_checked_applied_and_the_second_time_changes_nothing(store: Store) -> None:
    lines = pupils(100)
    checked = asked(store, "roster-check", c1(lines))
    assert checked["plan"]["counts"]["new"] == 100 and checked["written"] is None and not known(store)
    written = asked(store, "roster-apply", c1(lines))
    assert written["written"].startswith("r-") and len(known(store)) == 100
    release = store.roster.current()
    again = asked(store, "roster-apply", c1(lines))
    assert again["unchanged"] and again["written"] is None and store.roster.current() == release
    assert "không có gì để ghi" in "\n".join(told(again)) and "đã ghi" not in "\n".join(told(again))
    assert {person.name for person in store.people.all()} == {line.name for line in lines}
    assert len({row.pupil_key for row in store.releases.rows()}) == 100, "the stations are told of them"
    before = known(store)
    again = asked(store, "roster-apply", c1(lines))
    assert again["plan"]["counts"] | {"same": 0} == dict.fromkeys(again["plan"]["counts"], 0)
    assert again["plan"]["counts"]["same"] == 100 and known(store) == before


def test_a_list_with_a_fault_and_one_that_nobody_confirmed_write_nothing(store: Store) -> None:
    lines = pupils(100)
    asked(store, "roster-apply", c1(lines))
    before, number = known(store), store.roster.current()
    spoiled = [replace(lines[0], school_class="3-Feb"), replace(lines[1], school_class="9/9"), *lines[2:]]
    for octets, words in ((c1(spoiled), {}), (c1(lines[50:]), {}), (c1(lines[50:]), {"missing": "leave"})):
        found = asked(store, "roster-apply", octets, **words)
        assert found["written"] is None and known(store) == before and store.roster.current() == number
    assert "cần xác nhận / to be confirmed: many-gone" in "\n".join(told(found))
    found = asked(store, "roster-apply", c1(lines[50:]), missing="leave", confirm="many-gone")
    assert found["written"] and sum(pupil.state == "left" for pupil in known(store).values()) == 50
    assert len({row.pupil_key for row in store.releases.rows()}) == 50


def test_a_school_year_is_rolled_over_and_past_days_keep_their_class(store: Store) -> None:
    lines = pupils(100, classes=["1/1", "1/2"])
    asked(store, "roster-apply", c1(lines))
    later = today() + 30 * DAY
    moved = c1([replace(line, school_class=f"2{str(line.school_class)[1:]}") for line in lines])
    preview = asked(store, "roster-check", moved, day=later.isoformat())
    assert preview["plan"]["guards"] == ["many-moved"] and preview["plan"]["new_classes"] == ["2/1", "2/2"]
    assert preview["plan"]["moves"] == [{"from": f"1/{n}", "to": f"2/{n}", "count": 50} for n in (1, 2)]
    asked(store, "roster-apply", moved, day=later.isoformat(), confirm="many-moved")
    for pupil in known(store).values():
        first, second = str(class_on(pupil, later - DAY)), str(class_on(pupil, later))
        assert (first[0], second[0], first[1:]) == ("1", "2", second[1:])
    with store.database.transaction():
        assert sorted(store.people.classes(later - DAY)) == ["1/1", "1/2"]
        assert sorted(store.people.classes(later)) == ["2/1", "2/2"]


@pytest.mark.parametrize("day", ["hôm nay", "2020-01-01", "9999-01-01"])
def test_a_day_that_is_none_or_lies_too_far_is_refused(store: Store, day: str) -> None:
    with pytest.raises(ListRefused, match="--day\\) is a day"):
        asked(store, "roster-check", c1(pupils(1)), day=day)


def test_our_own_roster_brings_its_cards_and_is_guarded_too(store: Store) -> None:
    def roster(rows: Sequence[str]) -> bytes:
        return "\n".join(("pupil_key,display_name,class,card_uid", *rows)).encode()

    rows = [f"st-{number},An {number},6A1,{0x04A1B2C3D4E500 + number:014X}" for number in range(40)]
    assert asked(store, "roster-apply", roster(rows))["written"]
    assert sum(holding.open for holding in store.holders.holdings()) == 40
    release = store.roster.current()
    assert asked(store, "roster-apply", roster(rows))["unchanged"] and store.roster.current() == release
    other = [rows[0].replace("0004A1", "0004A2").replace(",04A1", ",04A2"), *rows[1:]]
    assert asked(store, "roster-apply", roster(other))["written"], "another card is no unchanged roster"
    assert asked(store, "roster-apply", roster(rows))["written"]
    assert asked(store, "roster-apply", roster(rows[30:]))["plan"]["guards"] == ["many-gone"]
    with pytest.raises(ListRefused, match="holds from today on"):
        asked(store, "roster-apply", roster(rows), day=(today() + DAY).isoformat())
    assert len(store.releases.rows()) == 40
    assert asked(store, "roster-apply", roster(rows[30:]), confirm="many-gone")["written"]
    assert len(store.releases.rows()) == 10 and sum(holding.open for holding in store.holders.holdings()) == 10


def test_an_import_by_which_many_would_go_asks_first_as_every_list_does(store: Store) -> None:
    def brought(count: int, **words: str) -> str:
        rows = [f"st-{number},An {number},6A1,{0x04A1B2C3D4E500 + number:014X}" for number in range(count)]
        octets = "\n".join(("pupil_key,display_name,class,card_uid", *rows)).encode()
        return store.carry_out("roster-import", {"file": "/x/r1.csv", "paper": wrapped(octets)} | words).text

    def there() -> tuple[int, int]:
        return len(store.releases.rows()), sum(holding.open for holding in store.holders.holdings())

    brought(18)
    with pytest.raises(ListGuarded, match=r"not confirmed: many-gone \(18 attend; 17 left, 1 same\)"):
        brought(1)
    with pytest.raises(ListGuarded):
        brought(1, confirm="many-moved")
    assert there() == (18, 18)
    assert "17 học sinh" in brought(17), "one who leaves is a school's day"
    brought(1, confirm="many-gone")
    assert there() == (1, 1)


def test_a_roster_with_cards_is_held_to_the_rule_for_names_of_every_list(store: Store) -> None:
    rows = ["st-1,=cmd|' /C calc'!A0,6A1,", "st-2,Na\u202em,6A1,", "st-3,An,<b>6A1</b>,"]
    octets = "\n".join(("pupil_key,display_name,class,card_uid", *rows)).encode()
    found = asked(store, "roster-apply", octets)
    assert [fault["row"] for fault in found["faults"]] == [2, 3, 4] and not found["written"]
    assert "\u202e" not in json.dumps(found, ensure_ascii=False)


def test_the_citys_zip_and_the_schools_sheet_speak_of_the_same_pupils(store: Store) -> None:
    asked(store, "roster-apply", packed(oneroster()))
    assert {code: pupil.city_id for code, pupil in known(store).items()} == {"7901": "u1", "7902": "u2"}
    rows = [["Mã lớp", "Mã học sinh", "Họ tên"], ["3/3", "7901", "Nguyễn Văn An"], ["3/3", "7902", "Trần Bình"]]
    found = asked(store, "roster-apply", book(("HS", rows)))
    assert found["plan"]["counts"]["moved"] == 1 and found["plan"]["counts"]["same"] == 1
    assert {pupil.origin for pupil in known(store).values()} == {"city"}


def test_leave_notices_are_held_to_the_hubs_pupils_and_nothing_is_written(store: Store) -> None:
    lines = pupils(3)
    asked(store, "roster-apply", c1(lines))
    day = f"{today():%d/%m/%Y}"
    rows = [
        [str(lines[0].code), lines[0].name, "1/1", day],
        ["nobody", None, None, day],
        [str(lines[1].code), "Khác", None, day],
    ]
    octets = book(("Nghỉ", [["Mã học sinh", "Họ tên", "Lớp", "Nghỉ từ ngày"], *rows]))
    found = asked(store, "roster-apply", octets, list="leave")
    assert [(fault["code"], fault["row"]) for fault in found["faults"]] == [("no-pupil", 3), ("name-differs", 4)]
    assert not found["sound"] and found["written"] is None and found["counts"] == {"lines": 3}
    with pytest.raises(ListRefused, match="no such list"):
        asked(store, "roster-check", octets, list="nothing")


def test_a_newcomer_entered_by_hand_is_found_in_the_next_list(store: Store) -> None:
    line = pupils(1)[0]
    by_hand = replace(known_of([line])[0], code=None, state="provisional", origin="hand")
    with store.database.transaction():
        ListRows(store.database, store.people).write([Change("new", ("new",), None, by_hand)], today())
    asked(store, "roster-apply", c1([line, PupilLine("Lê Khác", "1/2", code="2")]))
    found = known(store)[str(line.code)]
    assert (found.key, found.state, found.origin) == (by_hand.key, "enrolled", "list")


def test_the_commands_speak_to_a_hub_that_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "hub"
    (tmp_path / "hub.toml").write_text(f'[hub]\nid = "h"\nschool = "s"\ndata_dir = "{folder}"\n', encoding="utf-8")
    lines = pupils(60)
    (tmp_path / "c1.xlsx").write_bytes(c1(lines))
    (tmp_path / "half.xlsx").write_bytes(c1(lines[30:]))

    def run(*words: str) -> tuple[int, str]:
        code = main(["hub", "roster", *words, "--config", str(tmp_path / "hub.toml")])
        return code, capsys.readouterr().out

    code, said = run("check", str(tmp_path / "c1.xlsx"))
    assert code == 0 and "60 mới / new" in said and "– → 1/1: 35" in said
    code, said = run("apply", str(tmp_path / "c1.xlsx"))
    assert code == 0 and "đã ghi / written: r-" in said
    code, said = run("apply", str(tmp_path / "half.xlsx"), "--leave", "--json")
    assert code == 1 and json.loads(said)["plan"]["guards"] == ["many-gone"]
    code, said = run("apply", str(tmp_path / "half.xlsx"), "--leave", "--confirm", "many-gone")
    assert code == 0 and "30 rời trường / left" in said
    assert not any(str(line.name) in said for line in lines)


def test_the_command_takes_every_list_that_a_hub_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert set(LISTS) == set(TEMPLATES) == {LISTS[0], *TAKEN}
    folder, lines = tmp_path / "hub", pupils(3)
    (tmp_path / "hub.toml").write_text(f'[hub]\nid = "h"\nschool = "s"\ndata_dir = "{folder}"\n', encoding="utf-8")

    def run(file: bytes, *words: str) -> tuple[int, str]:
        (tmp_path / "ds.xlsx").write_bytes(file)
        code = main(
            ["hub", "roster", "apply", str(tmp_path / "ds.xlsx"), *words, "--config", str(tmp_path / "hub.toml")]
        )
        return code, capsys.readouterr().out

    assert run(c1(lines))[0] == 0
    code, day = str(lines[0].code), f"{today():%d/%m/%Y}"
    listed = {
        "boarding": [("Mã học sinh", "Bán trú từ ngày"), (code, day)],
        "diet": [("Mã học sinh", "Chế độ ăn", "Dị ứng"), (code, "Chay", "Không")],
        "menus": [("Ngày", "Bữa", "Món"), (day, "Trưa", "Canh bí đỏ")],
    }
    for kind, rows in listed.items():
        file = book((kind, rows))
        status, said = run(file, "--as", kind)
        assert status == 0 and f"đã ghi / written: {kind} 1" in said, said
        status, said = run(file, "--as", kind)
        assert status == 0 and "written: " not in said, said


def test_a_running_hub_takes_a_list_and_writes_nobody_s_name_into_its_log(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path)
    lines = [replace(line, name=f"{line.name} Canary") for line in pupils(40)]
    (tmp_path / "c1.xlsx").write_bytes(c1(lines))
    (tmp_path / "wrong.xlsx").write_bytes(c1([*lines, PupilLine("Canary <b>", "1/1", code="1")]))
    hub.start()
    try:
        refused = hub.ask("roster", "apply", str(tmp_path / "wrong.xlsx"))
        assert refused.returncode == 1 and "HocSinh, D48 (Họ tên)" in refused.stdout
        done = hub.ask("roster", "apply", str(tmp_path / "c1.xlsx"), "--json")
        assert done.returncode == 0, done.stderr
        assert hub.status()["roster"] == json.loads(done.stdout)["written"]
        again = hub.ask("roster", "check", str(tmp_path / "c1.xlsx"))
        assert again.returncode == 0 and "40 như cũ / same" in again.stdout
        bad_day = hub.ask("roster", "apply", str(tmp_path / "c1.xlsx"), "--day", "hôm nay")
        assert bad_day.returncode == 1 and "[list-refused]" in bad_day.stderr
    finally:
        hub.end()
    assert "Canary" not in hub.log.read_text(encoding="utf-8")
