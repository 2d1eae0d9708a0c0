"""The audit pack from a real store: it recounts as the hub counted, and whatever one changes in it is named."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import msgspec
import pytest

from hub.days.office import EntryRefused
from hub.recount import counting
from hub.recount.archive import unzipped, zipped
from hub.recount.manifest import (
    FACTS,
    INDEX,
    MANIFEST,
    MEALS,
    MONTHS,
    NOTES,
    SERVINGS,
    SIGNATURE,
    listed,
    manifest_from,
)
from hub.recount.manifest import signed_manifest as signed
from hub.recount.verdict import BAD, UNREADABLE, VALID, verify_contents
from hub.reporting.monthpack import MonthPack
from protocol.envelope import decode_event
from protocol.mealrecords import Portions
from protocol.signing import fingerprint
from tests.hub.days.test_daybook import AN, BE, DAY, ROSTER
from tests.hub.days.test_mealbook import Canteen
from tests.hub.handmade import new_identity
from tests.hub.reporting.monthschool import MONTH, lived, on, stated

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def canteen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canteen]:
    made = stated(lived(Canteen(tmp_path_factory.mktemp("school"))))
    yield made
    made.room.close()


@pytest.fixture(scope="module")
def pack(canteen: Canteen) -> Files:
    return unzipped(MonthPack(canteen.store).make("ke-toan", MONTH).octets)


def counter(pack: Files) -> str:
    """The file of the counter's journal."""
    return next(name for name in pack if name.startswith("records/") and b"meal.pickup" in pack[name])


def office(pack: Files) -> str:
    """The file of the hub's own records."""
    return next(name for name in pack if name.startswith("records/") and b"meal.enrolled" in pack[name])


def changed(pack: Files, name: str, change: Callable[[list[bytes]], None]) -> Files:
    lines = pack[name].splitlines(keepends=True)
    change(lines)
    return {**pack, name: b"".join(lines)}


def first_bad(files: Files) -> tuple[str, str]:
    """What the verdict names first; the manifest is made to fit, so that it isn't the digests alone that tell."""
    found = verify_contents(files)
    assert found.exit_code == BAD, found.lines
    return found.bad[0].about, found.bad[0].what


def resigned(files: Files) -> Files:
    """The same files under a manifest that lists them, signed by somebody else."""
    somebody = new_identity()
    body = {name: octets for name, octets in files.items() if name not in (MANIFEST, SIGNATURE)}
    manifest = manifest_from(files[MANIFEST])
    lists = {name: listed(octets) for name, octets in body.items()}
    return body | signed(somebody, msgspec.structs.replace(manifest, key=somebody.key, files=lists))


def test_a_pack_without_a_signature_that_holds_is_never_called_signed(pack: Files) -> None:
    key = manifest_from(pack[MANIFEST]).key
    assert "which is the one that was given" in verify_contents(pack, key).lines[-1]
    unsigned = {name: octets for name, octets in pack.items() if name != SIGNATURE}
    changed = {**pack, MANIFEST: pack[MANIFEST].replace(b'"by": "', b'"by": "x')}
    for files in (unsigned, changed, resigned(pack)):
        assert verify_contents(files, key).lines[-1] == "no signature of the hub proves this pack"


def test_the_pack_counts_again_as_the_hub_counted_and_is_the_same_bytes_each_time(
    canteen: Canteen, pack: Files
) -> None:
    made = MonthPack(canteen.store).make("ke-toan", MONTH)
    assert made.verdict.exit_code == VALID and unzipped(made.octets) == pack
    assert zipped(pack) == made.octets
    others = unzipped(MonthPack(canteen.store).make("hieu-truong", MONTH).octets)
    assert {name for name in pack if others[name] != pack[name]} == {MANIFEST, SIGNATURE}, "they say who asked"
    key = canteen.store.secrets.identity().key
    assert verify_contents(pack, key).exit_code == verify_contents(pack, fingerprint(key)).exit_code == VALID
    servings = pack[SERVINGS].splitlines()
    assert len(servings) == 6, "An twice, a stranger, Chi; An and Bé from the class list"
    assert b"04A1B2" not in b"".join(pack.values()), "no card's number leaves the hub"
    assert not any(name.encode() in b"".join(pack.values()) for name in ("Nguyễn", "Văn An", "Trần"))


def test_the_reference_has_a_row_for_every_file_of_a_pack_and_none_besides(pack: Files) -> None:
    text = (Path(__file__).parents[3] / "docs/reference/meals.md").read_text("utf-8")
    rows = re.findall(r"^\| (`[^|]*) \|", text.partition("## The audit pack")[2].partition("\n## ")[0], re.M)
    told = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert told == {re.sub(r"^records/[0-9a-f]+\.", "records/<journal>.", name) for name in pack}
    for name in set(pack) - {"readme.txt", SIGNATURE}:
        mine = "records/" if name.startswith("records/") else "counted/" if name.startswith("counted/") else name
        assert mine in pack["readme.txt"].decode(), name


def test_one_serving_added_removed_or_moved_is_named(pack: Files) -> None:
    serving = msgspec.json.decode(pack[SERVINGS].splitlines()[-1])
    name = f"serving {serving['tap']}"
    about, what = first_bad(changed(pack, SERVINGS, lambda lines: lines.pop()))
    assert (about, "removed" in what) == (name, True)
    added = serving | {"tap": serving["tap"].partition(".")[0] + ".999"}
    about, what = first_bad(changed(pack, SERVINGS, lambda lines: lines.append(msgspec.json.encode(added) + b"\n")))
    assert (about, "added" in what) == (f"serving {added['tap']}", True)
    moved = serving | {"day": "2026-11-18" if serving["day"] != "2026-11-18" else "2026-11-20"}
    about, what = first_bad(
        changed(pack, SERVINGS, lambda lines: lines.__setitem__(-1, msgspec.json.encode(moved) + b"\n"))
    )
    assert about == name and what.startswith("it was moved (day): day is '2026-11-18', by the records '2026-11-")
    for field, other in (("pupil", "st-be"), ("meal", "dinner"), ("point", "quay-9"), ("device", "may-9")):
        moved = serving | {field: other}
        files = changed(pack, SERVINGS, lambda lines, moved=moved: lines.__setitem__(
            -1, msgspec.json.encode(moved) + b"\n"
        ))  # fmt: skip
        found = verify_contents(files)
        mine = [one for one in found.bad if one.about.startswith("serving")]
        assert [one.about for one in mine] == [name], f"{field}: one serving, named once"
        assert mine[0].what.startswith(f"it was moved ({field}): {field} is '{other}', by the records "), mine
        assert repr(serving[field]) in mine[0].what
    about, what = first_bad(changed(pack, SERVINGS, lambda lines: lines.reverse()))
    assert "another order" in what


def test_a_record_changed_removed_added_or_moved_is_named(pack: Files) -> None:
    name = counter(pack)
    third = decode_event(pack[name].splitlines()[2]).id
    told = first_bad(changed(pack, name, lambda lines: lines.pop(2)))
    assert told == (third, "the record is missing")
    about, what = first_bad(changed(pack, name, lambda lines: lines.insert(5, lines.pop(2))))
    assert about == third and "moved" in what
    about, what = first_bad(changed(pack, name, lambda lines: lines.__setitem__(2, lines[2].replace(b"hk1:", b"hk9:"))))
    assert (about, "changed" in what) == (third, True)
    about, what = first_bad(changed(pack, name, lambda lines: lines.insert(3, lines[2])))
    assert (about, "added" in what) == (third, True)
    last = decode_event(pack[name].splitlines()[-1]).id
    about, what = first_bad(changed(pack, name, lambda lines: lines.pop()))
    assert about == last


def test_a_cut_a_sheet_or_a_month_that_was_changed_is_named_also_under_a_new_manifest(pack: Files) -> None:
    name = office(pack)
    lines = pack[name].splitlines()
    for kind, old, new in (
        ("meal.cut", b"2026-11-19", b"2026-11-20"),
        ("meal.sheet.locked", b'"registered":2', b'"registered":3'),
        ("meal.month", b'"card":1', b'"card":2'),
        ("meal.enrolled", b"2026-11-02", b"2026-11-09"),
    ):
        place = next(n for n, line in enumerate(lines) if f".{kind}." in line.decode() and old in line)
        other = changed(pack, name, lambda some, place=place, old=old, new=new: some.__setitem__(
            place, some[place].replace(old, new)
        ))  # fmt: skip
        assert first_bad(other)[0] == decode_event(lines[place]).id == first_bad(resigned(other))[0], kind


def test_what_was_counted_is_held_pupil_by_pupil(pack: Files) -> None:
    eaten = next(n for n, line in enumerate(pack[MEALS].splitlines()) if b'"card"' in line and b"st-chi" in line)
    about, what = first_bad(changed(pack, MEALS, lambda lines: lines.__setitem__(
        eaten, lines[eaten].replace(b"st-chi", b"st-dung")
    )))  # fmt: skip
    assert about.endswith("lunch st-dung") and "pupil is 'st-dung', by the records 'st-chi'" in what
    about, what = first_bad(changed(pack, MEALS, lambda lines: lines.pop(0)))
    assert about.startswith("meal 2026-11-02 lunch st-") and "removed" in what
    months = pack[MONTHS].replace(b'"chargeable": 20', b'"chargeable": 21', 1)
    assert months != pack[MONTHS]
    assert first_bad({**pack, MONTHS: months})[0].startswith("month lunch st-")
    held = pack[FACTS].replace(b'"who": "st-an"', b'"who": "st-be"')
    assert held != pack[FACTS]
    told = first_bad(resigned({**pack, FACTS: held}))[0]
    assert told.startswith("serving "), "under a new manifest the records tell"
    index = pack[INDEX].replace(b'": "', b'":"').replace(b'":"', b'":"x', 1)
    assert first_bad({**pack, INDEX: index})[0] == INDEX


def test_changed_facts_are_named_before_all_that_follows_from_them(pack: Files) -> None:
    for old, new in (
        (b'"who": "st-an"', b'"who": "st-be"'),
        (b'"school_class": "1A"', b'"school_class": "1B"'),
        (b'"first": "2026-11-01"', b'"first": 7'),
    ):
        held = pack[FACTS].replace(old, new)
        assert held != pack[FACTS], old
        files = {**pack, FACTS: held}
        found = verify_contents(files)
        (told,) = (line for line in found.lines if line.startswith(f"BAD {FACTS}: "))
        assert "its bytes aren't those that the manifest names" in told and "counted from changed facts" in told
        if new.endswith(b"7"):
            assert found.exit_code == UNREADABLE and found.lines[1] == told
            continue
        assert found.exit_code == BAD and found.lines[0] == told and found.as_json()["first_bad"] == FACTS
        assert any(one.about.startswith(("serving ", "meal ")) for one in found.bad[1:])
        last = found.lines[-1]
        assert last.startswith("the hub with the fingerprint ") and last.endswith(f"signed other files: {FACTS}")


def test_a_forged_manifest_is_named(canteen: Canteen, pack: Files) -> None:
    other = pack[MANIFEST].replace(b'"by": "ke-toan"', b'"by": "ai-do"')
    assert first_bad({**pack, MANIFEST: other})[0] == MANIFEST
    forged = resigned(pack)
    assert verify_contents(forged).exit_code == VALID, "whose key it is, only who knows the hub's can say"
    told = verify_contents(forged, canteen.store.secrets.identity().key)
    assert told.exit_code == BAD and told.bad[0].about == MANIFEST and "another key" in told.bad[0].what
    assert first_bad({**pack, "readme.txt": b"x"})[0] == "readme.txt"
    assert first_bad({**pack, "more.txt": b"x"})[0] == "more.txt"
    assert first_bad({n: o for n, o in pack.items() if n != "readme.txt"})[0] == "readme.txt"


def test_a_pack_says_that_a_month_counts_otherwise_than_it_was_stated(tmp_path: Path) -> None:
    canteen = stated(lived(Canteen(tmp_path)))
    try:
        canteen.serve(BE, "11:30", student="st-be")
        canteen.serve(AN, "11:35", student="st-an", nth=3)
        canteen.deliver()
        made = MonthPack(canteen.store).make("ke-toan", MONTH)
        notes = [one for one in made.verdict.lines if one.startswith("NOTE")]
        waits = "NOTE when it was made, records of these counters were waited for: cong"
        assert made.verdict.exit_code == VALID
        assert notes == ["NOTE lunch, version 1: 2 pupils count otherwise now", waits]
        assert canteen.store.mealmonths.state("ke-toan", MONTH, "lunch", "quầy 2 gửi trễ") == 2
        made = MonthPack(canteen.store).make("ke-toan", MONTH)
        notes = [one for one in made.verdict.lines if one.startswith("NOTE")]
        assert made.verdict.exit_code == VALID and notes == [waits]
        for month, why in (("2026-13", "no month"), ("2031-01", "no meals that were")):
            with pytest.raises(EntryRefused, match=why):
                MonthPack(canteen.store).make("ke-toan", month)
    finally:
        canteen.room.close()


def test_a_note_of_a_sheet_names_each_class_that_is_otherwise_with_its_numbers(tmp_path: Path) -> None:
    canteen = stated(lived(Canteen(tmp_path)))
    try:
        # The whole school's numbers are the same on both sides: a pupil is in another class of that day since.
        on(canteen, DAY)
        moved = [*ROSTER[:1], dataclasses.replace(ROSTER[1], school_class="1B"), *ROSTER[2:]]
        canteen.store.office.take_roster("-", moved)
        on(canteen, date(2026, 12, 1))
        made = MonthPack(canteen.store).make("ke-toan", MONTH)
        assert made.verdict.exit_code == VALID
        notes = [one for one in made.verdict.lines if one.startswith(f"NOTE {DAY}")]
        same = "3 registered, 1 cut, 2 cooked in 2 classes"
        assert notes == [
            f"NOTE {DAY} lunch final sheet, version 1: frozen, {same}; what had been said comes to {same}: "
            "1A frozen 2 registered, 1 cut, 1 regular, said 1 registered, 1 regular; "
            "1B frozen 1 registered, 1 regular, said 2 registered, 1 cut, 1 regular",
            f"NOTE {DAY} lunch final sheet, version 1: frozen and adjusted, "
            "0 registered, 0 cut, 0 cooked in 2 classes more are said now: "
            "1A -1 registered, -1 cut; 1B +1 registered, +1 cut",
        ]
        # A pack of before has no classes in its notes; it is as good as it was.
        files = unzipped(made.octets)
        before = re.sub(rb',\n *"classes": "[^"]*"|"classes": "[^"]*",\n *', b"", files[NOTES])
        assert b'classes":' not in before and before != files[NOTES]
        assert verify_contents(resigned({**files, NOTES: before})).exit_code == VALID
    finally:
        canteen.room.close()


def test_a_note_of_many_classes_names_the_first_ones_and_counts_the_others() -> None:
    frozen = {f"1{letter}": Portions(1, 0, 1) for letter in "ABCDEFGHIJKLMNOP"}
    told = counting._otherwise(frozen, {})
    assert told.startswith("1A frozen 1 registered, 1 regular, said nothing; 1B ") and told.endswith(
        "; and 4 more classes"
    )
    assert counting._otherwise(frozen, frozen) == "of each class the same numbers, of other pupils"
