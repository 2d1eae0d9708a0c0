"""`k12edge incident` and `k12edge hub incident`: the files that somebody in a hurry gets, from whatever is left."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from edge.devicekeys import DeviceKeys
from edge.pile import pile_of
from edge.sheetbeside import FILE_NAME as SHEET
from hub.incidents.journals import UNKNOWN_HOURS, Found, known_of, plans_in
from hub.meals.sittings import plan_on, sittings_of
from k12edge.cli import main
from k12edge.incident import volumes_of
from protocol.countersheet import CounterSheet, Eater, MealPlan, SealedSheet, Shift, pack_sheet
from protocol.meals import ByHand, MealTap
from protocol.signing import seal, sign_message
from protocol.taps import TapData
from protocol.topics import device_topic
from tests.hub.days.test_daybook import midnight_ms, mono_at
from tests.hub.handmade import SCHOOL, Run, new_identity
from tests.hub.incidents.schooldays import CARDS, COUNTERS, DAY, STRANGE, Lunch, journal_in

WORDS = ("--meal", "lunch", "--date", DAY.isoformat())


@pytest.fixture(scope="module")
def lunch(tmp_path_factory: pytest.TempPathFactory) -> Lunch:
    """Six pupils and a stranger at two counters; the hub has nothing of it."""
    made = Lunch(tmp_path_factory.mktemp("school"))
    for number, (pupil, card) in enumerate(list(CARDS.items())[:6]):
        made.serve(number % 2, card, 60 * number, student=pupil)
    shown = made.serve(1, STRANGE, 960, decision="refused")
    made.serve(1, "x", 970, hand=ByHand("stranger", "co-hoa", shown))
    for counter in (0, 1):
        made.mark(counter)
    made.room.close()
    return made


def sheet_in(folder: Path, device: str) -> None:
    """The counters' sheet of that day, as a gateway keeps it, sealed to the keys that lie beside it."""
    hub = new_identity()
    keys = DeviceKeys(folder, hub.key)
    eaters = [Eater(pupil, f"Họ {pupil}", "1A", meals=["lunch"] if pupil < "st-08" else []) for pupil in sorted(CARDS)]
    sheet = CounterSheet(
        3,
        f"{DAY.isoformat()}T06:00:00.000+07:00",
        SCHOOL,
        DAY.isoformat(),
        [MealPlan("lunch", [Shift(1, "10:30", "11:50")], menu="cá kho")],
        eaters,
        counters=dict.fromkeys((*COUNTERS, "quay-c"), hub.key),
    )
    body = msgspec.json.encode(SealedSheet(3, seal(keys.identity.box, pack_sheet(sheet))))
    (folder / SHEET).write_bytes(sign_message(hub, device_topic(SCHOOL, device, "sheet"), body))


def ran(out: Path, capsys: pytest.CaptureFixture[str], *paths: Path, more: tuple[str, ...] = WORDS) -> str:
    assert main(["incident", "--journals", *map(str, paths), "--out", str(out), *more]) == 0
    return capsys.readouterr().out


def lines_of(out: Path, name: str) -> list[list[str]]:
    (table,) = sorted(out.glob("*.csv"))[-1:]
    return [row for row in csv.reader(table.open(encoding="utf-8-sig", newline="")) if row[0] == name]


def test_with_a_sheet_that_opens_names_stand_there_and_each_missing_counter_is_named(
    lunch: Lunch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / name for name in COUNTERS]
    for folder, run in zip(folders, lunch.runs, strict=True):
        journal_in(folder, [run])
    sheet_in(folders[0], COUNTERS[0])
    before = {path: path.read_bytes() for folder in folders for path in folder.iterdir()}
    told = ran(tmp_path / "out", capsys, *folders)
    assert {path: path.read_bytes() for folder in folders for path in folder.iterdir()} == before
    assert "6 học sinh đã ăn" in told and "quay-c: không có sổ ghi nào của quầy này" in told
    assert "quay-a: đủ / complete" in told and "quay-b: đủ / complete" in told
    ate = lines_of(tmp_path / "out", "Đã ăn")
    assert [row[5] for row in ate if row[7]] == [f"Họ st-0{number}" for number in range(6)]
    # Who is on the sheet's list of this lunch and has no serving; presence nobody knows here.
    without = lines_of(tmp_path / "out", "Có mặt hoặc chưa rõ, không có lượt ăn")
    assert [row[7] for row in without if row[7]] == ["st-06", "st-07"]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    stem = f"su-co-bua-trua-{DAY.isoformat()}-ban-1"
    assert names == [f"{stem}.csv", f"{stem}.json", f"{stem}.pdf", f"{stem}.xlsx"]
    assert "cá kho" in (tmp_path / "out" / names[0]).read_text(encoding="utf-8-sig")


def test_a_late_copy_makes_version_two_that_names_what_it_brought(
    lunch: Lunch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = journal_in(tmp_path / "a", [lunch.runs[0]]), journal_in(tmp_path / "b", [lunch.runs[1]])
    told = ran(tmp_path / "out", capsys, first)
    [missing] = [row for row in lines_of(tmp_path / "out", "Tóm tắt") if row[5].strip() == "Máy chủ trường"]
    for text in (told, missing[6]):
        assert "không có ở đây" in text and "lời xác định suất ăn và thẻ gắn về sau ghi ở máy chủ" in text
    assert "3 học sinh đã ăn" in told and "*: không có danh sách các quầy" in told
    again = ran(tmp_path / "out", capsys, first, second, first)
    assert "6 học sinh đã ăn" in again and "ban-2.pdf" in again
    told_rows = [row for row in lines_of(tmp_path / "out", "Tóm tắt") if row[5] == "Khác bản trước"]
    assert sum("thêm:" in row[6] and "eaten st-" in row[6] for row in told_rows) == 3
    drill = ran(tmp_path / "out", capsys, first, more=(*WORDS, "--drill"))
    assert "dien-tap-bua-trua" in drill and "ban-1.pdf" in drill


def test_a_damaged_file_is_read_as_far_as_it_goes_and_named(
    lunch: Lunch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = journal_in(tmp_path / "a", [lunch.runs[0]])
    octets = bytearray(whole.read_bytes())
    # The schema's page is gone: SQLite can't say anything of this file any more.
    octets[100:1200] = bytes(1100)
    broken = tmp_path / "broken.db"
    broken.write_bytes(octets)
    noise = tmp_path / "noise.db"
    noise.write_bytes(b"\x00\xff" * 5000)
    empty = tmp_path / "empty"
    empty.mkdir()
    told = ran(tmp_path / "out", capsys, broken, noise, empty, tmp_path / "nowhere")
    assert "3 học sinh đã ăn" in told
    gone = dict.fromkeys((empty, tmp_path / "nowhere"), "không đọc được")
    for path, what in (gone | dict.fromkeys((broken, noise), "tệp hỏng")).items():
        assert any(str(path) in line and what in line for line in told.splitlines()), (path, told)


def test_a_cut_tail_a_hole_and_a_missing_journal_are_named(lunch: Lunch, tmp_path: Path) -> None:
    run = lunch.runs[0]
    after = Run(run.source).open(after=run, mono_ms=lunch.at(0, 3000))
    path = journal_in(tmp_path / "a", [run, after])
    database = sqlite3.connect(path)
    with database:
        database.execute("DELETE FROM event WHERE position = ?", (1 << 40 | 3,))
        database.execute("DELETE FROM event WHERE position = ?", (1 << 40 | len(run.lines),))
    database.close()
    from_ms = midnight_ms(DAY)
    pile = pile_of([path], from_ms, from_ms + 86_400_000)
    known = known_of(Found(volumes_of(pile), pile.timelines), [(DAY, "lunch")])
    (counter, others) = known.origins
    assert others.words == (("counters-unknown", ""),)
    about = dict.fromkeys(counter.words)
    assert ("hole", f"{run.journal} 3–3") in about
    assert ("hole", f"{run.journal} {len(run.lines)}–{len(run.lines)}") in about
    alone = pile_of([journal_in(tmp_path / "b", [after])], from_ms, from_ms + 86_400_000)
    known = known_of(Found(volumes_of(alone), alone.timelines), [(DAY, "lunch")])
    assert ("hole", f"{run.journal} ?–{len(run.lines)}") in known.origins[0].words


def test_two_versions_of_one_record_are_both_listed_and_named(
    lunch: Lunch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = lunch.runs[0]
    place = next(number for number, line in enumerate(run.lines, 1) if b'"st-02"' in line)
    other = Run(run.source, run.journal, run.boot, list(run.lines))
    other.lines[place - 1] = run.lines[place - 1].replace(b'"st-02"', b'"st-09"')
    told = ran(tmp_path / "out", capsys, journal_in(tmp_path / "a", [run]), journal_in(tmp_path / "b", [other]))
    assert "4 học sinh đã ăn" in told and f"hai bản khác nhau của bản ghi {run.journal}.{place}" in told
    ate = {row[7] for row in lines_of(tmp_path / "out", "Đã ăn")}
    assert {"st-02", "st-09"} <= ate


def test_a_sheet_that_does_not_open_leaves_keys_and_says_why(
    lunch: Lunch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a"
    journal_in(folder, [lunch.runs[0]])
    sheet_in(folder, COUNTERS[0])
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    DeviceKeys(stranger, None)
    shutil.copyfile(stranger / "keys.json", folder / "keys.json")
    shutil.copyfile(stranger / "keys-copy.json", folder / "keys-copy.json")
    told = ran(tmp_path / "out", capsys, folder)
    assert "3 học sinh đã ăn" in told and "không mở được danh sách tên" in told
    assert {row[5] for row in lines_of(tmp_path / "out", "Đã ăn") if row[7]} == {"st-00", "st-02", "st-04"}


def test_without_a_sheet_the_counters_own_words_say_when_the_meal_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Lunch(tmp_path)
    # A lunch at 15:50: no usual hour of one, and an usual one of the afternoon's meal.
    late_s = 5 * 3600 + 20 * 60
    for number, (pupil, card) in enumerate(list(CARDS.items())[:4]):
        made.serve(0, card, late_s + 60 * number, student=pupil)
    made.mark(0, "15:55")
    made.room.close()
    folder = tmp_path / "a"
    journal_in(folder, [made.runs[0]])
    told = ran(tmp_path / "out", capsys, folder)
    assert "4 học sinh đã ăn" in told and "*: không có danh sách các quầy" in told
    # Whoever came after the last record that is there isn't known of.
    assert "quay-a: đủ / complete" not in told
    snack = ran(tmp_path / "snack", capsys, folder, more=("--meal", "snack", "--date", DAY.isoformat()))
    assert "0 học sinh đã ăn" in snack
    pile = pile_of([folder], midnight_ms(DAY), midnight_ms(DAY) + 86_400_000)
    plans = plans_in(Found(volumes_of(pile), pile.timelines))
    (lunch,) = (one for one in sittings_of(plan_on(plans, DAY), DAY) if one.meal == "lunch")
    assert (lunch.opens_ms - midnight_ms(DAY), lunch.closes_ms - midnight_ms(DAY)) == (57_000_000, 57_240_000)
    assert plan_on(plans, DAY + timedelta(days=1)) == UNKNOWN_HOURS


def test_where_nothing_lies_no_list_says_that_nobody_ate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["incident", "--journals", str(tmp_path / "quay-x"), "--out", str(tmp_path / "out"), *WORDS]
    assert main(words) == 1 and "there is nothing at" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_by_the_hub_the_files_lie_in_the_folder_and_a_version_is_sent_by_its_own_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "hub.toml"
    config.write_text(f'[hub]\nid = "h"\nschool = "s"\ndata_dir = "{tmp_path / "data"}"\n', encoding="utf-8")
    at = ["--config", str(config)]
    (tmp_path / "ill.csv").write_text("", encoding="utf-8")
    words = ["--out", str(tmp_path / "out"), "--ill", str(tmp_path / "ill.csv"), *at]
    assert main(["hub", "incident", *WORDS, *words]) == 0
    told = capsys.readouterr().out
    assert "bản / version 1: 0 đã ăn" in told and "CHƯA ĐỦ DỮ LIỆU / INCOMPLETE" in told
    assert "*: chưa có quầy nào" in told
    assert len(list((tmp_path / "out").iterdir())) == 3
    assert main(["hub", "incident-send", "1", *WORDS, *at]) == 0
    told = capsys.readouterr().out
    assert "recorded, NOT SENT: no city" in told and "đã gửi" not in told, "what waits for a city isn't called sent"
    assert main(["hub", "incident-list", *at]) == 0 and "recorded, waits for a city" in capsys.readouterr().out
    assert main(["hub", "incident-send", "1", *WORDS, *at]) == 1
    assert "incident-not-sent" in capsys.readouterr().err
    assert main(["hub", "incident-list", "--json", *at]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["number"] == 1 and row["sent"] is not None and len(row["kept"]) == 64
    # Where no file can go, no version is made.
    (tmp_path / "full").write_text("no folder", encoding="utf-8")
    assert main(["hub", "incident", *WORDS, "--out", str(tmp_path / "full"), *at]) == 1
    assert "can't be made" in capsys.readouterr().err
    assert main(["hub", "incident-list", "--json", *at]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1
    assert main(["hub", "incident", *words]) == 1
    assert "incident-refused" in capsys.readouterr().err


def test_hours_from_journals_name_a_weekends_meal_only_by_a_serving(
    lunch: Lunch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, sunday = tmp_path / "quay-a", DAY + timedelta(days=3)
    journal_in(folder, [lunch.runs[0]])
    sheet_in(folder, "quay-a")
    hours = ("--last-hours", "96", "--date", sunday.isoformat())
    ran(tmp_path / "out", capsys, folder, more=hours)
    # Thursday's lunch and Friday's: of Saturday and Sunday nobody is said not to have eaten.
    days = {row[1] for row in lines_of(tmp_path / "out", "Có mặt hoặc chưa rõ, không có lượt ăn")}
    assert days == {f"{DAY:%d/%m/%Y}", f"{DAY + timedelta(days=1):%d/%m/%Y}"}
    run = Run(lunch.boxes[0].source).open(after=lunch.runs[0], mono_ms=mono_at("09:00", sunday))
    # Its hub is closed already: the tap's bytes are made by hand.
    said = MealTap(sunday.isoformat(), "lunch", 1)
    run.add(
        "meal.pickup",
        lambda at: TapData(
            "canteen", "quay-a-1", None, "hk1:AAAAAAAAAAA", "st-03", "accepted", None, "ok", "r", at, meal=said
        ),
        mono_ms=mono_at("10:40", sunday),
    )
    journal_in(tmp_path / "second", [run])
    ran(tmp_path / "other", capsys, folder, tmp_path / "second", more=hours)
    assert f"{sunday:%d/%m/%Y}" in {row[1] for row in lines_of(tmp_path / "other", "Đã ăn")}
