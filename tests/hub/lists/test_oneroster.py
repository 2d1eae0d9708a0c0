"""OneRoster CSV zips, bulk and delta: pupils in their classes, what is gone, and every file that doesn't fit."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.lists.changes import Plan, plan
from hub.lists.faults import Fault
from hub.lists.known import Enrolment, KnownPupil
from hub.lists.lines import PupilLine
from hub.lists.oneroster import Delivery, read_oneroster
from hub.lists.people import read_people
from tests.hub.lists.school import (
    CLASSES,
    ENROLLMENTS,
    ENROLLMENTS_HEADER,
    TODAY,
    USERS,
    USERS_HEADER,
    csv_of,
    manifest,
    oneroster,
    packed,
)

SINCE = date(2026, 9, 1)
AN = PupilLine("Nguyễn Văn An", "3/2", "attending", "7901", "u1", state_day=SINCE, where="users.csv, 2")
BINH = PupilLine("Trần Bình", "3/3", "attending", "7902", "u2", where="users.csv, 3")
STAMP = "2026-11-25T10:00:00.000Z"


def read(**changed: str) -> Delivery:
    members = {name: str(text) for name, text in oneroster(**changed).items()}
    return read_oneroster("f.zip", members, TODAY)


def delta(users: list[str], enrollments: list[str], **modes: str) -> Delivery:
    return read(
        manifest=manifest("delta", classes="bulk", orgs="absent", **modes),
        users=csv_of(USERS_HEADER, *users), enrollments=csv_of(ENROLLMENTS_HEADER, *enrollments),
    )  # fmt: skip


def one_fault(found: Delivery) -> Fault:
    stopping = [fault for fault in found.faults if fault.stops]
    assert len(stopping) == 1, stopping
    assert not found.sound
    return stopping[0]


def test_a_bulk_zip_gives_the_pupils_of_their_homerooms_and_nobody_else() -> None:
    found = read()
    assert found.sound and found.complete and found.lines == (AN, BINH)


@pytest.mark.parametrize("folder", ["", "export-2026/"])
def test_the_zip_comes_through_the_same_door_as_excel(folder: str) -> None:
    people = read_people("bất kỳ.xlsx", packed(oneroster(), folder), TODAY)
    assert (people.kind, people.sound, people.complete, people.pupils) == ("oneroster", True, True, (AN, BINH))


def test_columns_in_any_order_with_any_capitals_and_marks_are_read() -> None:
    rng = Random(3)
    files = {}
    for name, text in (("users", USERS), ("enrollments", ENROLLMENTS), ("classes", CLASSES)):
        lines = [line.split(",") for line in text.strip().splitlines()]
        order = list(range(len(lines[0])))
        rng.shuffle(order)
        lines[0] = [word.upper() for word in lines[0]]
        files[name] = "\n".join(",".join(line[place] for place in order) for line in lines)
    assert read(**files).lines == (AN, BINH)


def test_nothing_of_other_systems_and_telephones_is_in_what_was_read() -> None:
    assert not any(word in repr(read()) for word in ("079215000001", "0903", "co.hoa"))


def test_roles_of_1_2_and_of_1_1_say_who_is_a_pupil() -> None:
    roles = csv_of(
        "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId",
        "r1,,,u1,primary,student,,,kd", "r2,,,u2,primary,teacher,,,kd",
    )  # fmt: skip
    assert [line.city_id for line in read(manifest=manifest(roles="bulk"), roles=roles).lines] == ["u1"]
    users = csv_of(
        "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName",
        "u1,,,true,kd,student,an,,An,Nguyễn", "u2,,,true,kd,teacher,b,,Bình,Trần",
    )  # fmt: skip
    found = read(manifest=manifest(version="1.1"), users=users)
    assert [(line.name, line.code) for line in found.lines] == [("Nguyễn An", None)]


def test_birth_dates_and_sexes_come_from_the_demographics() -> None:
    people = csv_of("sourcedId,birthDate,sex", "u1,2018-09-05,female", "u2,1900-01-01,male")
    found = read(manifest=manifest(demographics="bulk"), demographics=people)
    assert (found.lines[0].birth, found.lines[0].sex) == (date(2018, 9, 5), "f")
    fault = one_fault(found)
    assert (fault.code, fault.sheet, fault.row, fault.header) == ("no-day", "demographics.csv", 3, "birthDate")


@pytest.mark.parametrize("day", ["0001-01-01", "1900-01-01", "9999-12-31"])
def test_an_enrolment_from_a_day_that_no_school_has_is_named_and_one_without_an_end_is_taken(day: str) -> None:
    fault = one_fault(read(enrollments=ENROLLMENTS.replace("2026-09-01", day)))
    assert (fault.code, fault.sheet, fault.row, fault.header) == ("day-range", "enrollments.csv", 2, "beginDate")
    assert "01/01/2020" in fault.vi and "31/12/2099" in fault.en
    assert len(read(enrollments=ENROLLMENTS.replace("2027-05-31", "9999-12-31")).lines) == 2


def test_the_class_is_the_homeroom_else_the_primary_else_the_only_one_and_what_is_over_is_none() -> None:
    plain = CLASSES.replace("homeroom", "scheduled")
    found = read(classes=plain)
    assert [line.school_class for line in found.lines] == ["3/2", "3/3"], "u1's primary, u2's only"
    fault = one_fault(read(classes=plain, enrollments=ENROLLMENTS.replace("student,true", "student,")))
    assert (fault.code, set(fault.about)) == ("two-homerooms", {"3/2", "Toán 3"})
    over = ENROLLMENTS.replace("2027-05-31", "2026-10-31")
    assert read(enrollments=over).lines[0].school_class == "Toán 3", "the homeroom ended"


# --- delta ------------------------------------------------------------------------------------------------------------


def test_a_delta_says_only_what_changed() -> None:
    found = delta(
        [f"u1,active,{STAMP},true,,,An,Nguyễn,Văn Minh,7901,,", f"u7,tobedeleted,{STAMP},,,,,,,,,"],
        [f"e1,tobedeleted,{STAMP},c32,kd,u1,student,,,", f"e5,active,{STAMP},c33,kd,u1,student,,2026-11-30,",
         f"e6,active,{STAMP},c32,kd,u8,student,,,"],
    )  # fmt: skip
    assert found.sound and not found.complete
    assert found.lines == (
        replace(AN, name="Nguyễn Văn Minh An", school_class="3/3", state_day=date(2026, 11, 30)),
        PupilLine(None, None, "left", city_id="u7", where="users.csv, 3", only_known=True),
        PupilLine(None, "3/2", city_id="u8", where="enrollments.csv, 4"),
    )  # fmt: skip


def test_a_delta_that_only_renames_speaks_of_who_is_known_and_makes_nobody_a_pupil() -> None:
    found = delta([f"u1,active,{STAMP},true,,,An,Lê,,7901,,", f"u9,active,{STAMP},true,,,Hoa,Lê,,GV1,,"], [])
    assert [(line.city_id, line.only_known) for line in found.lines] == [("u1", True), ("u9", True)]
    known = KnownPupil("st-1", "An", "7901", "u1", None, None, "enrolled", "city", 0, (Enrolment("3/2", SINCE),))
    made = plan([known], found.lines, TODAY, complete=found.complete, origin="city")
    assert [change.after.name for change in made.changes] == ["Lê An"]


def test_who_is_deleted_is_found_by_code_too_unless_the_name_is_another_persons() -> None:
    pupil = KnownPupil("st-1", "Lê An", "7901", None, None, None, "enrolled", "list", 0, (Enrolment("3/2", SINCE),))

    def deleted(cells: str) -> Plan:
        found = delta([f"u1,tobedeleted,{STAMP},{cells}"], [])
        return plan([pupil], found.lines, TODAY, complete=found.complete, origin="list")

    for cells in ("true,,,,,,7901,,", "true,,,An,Lê,,7901,,"):
        assert [(one.kind, one.matched_by) for one in deleted(cells).changes] == [("left", "code")]
    assert [one.reason for one in deleted("true,,,Hoa,Trần,,7901,,").bad] == ["another-person"]
    anew = [f"u-old,tobedeleted,{STAMP},true,,,An,Lê,,7901,,", f"u-new,active,{STAMP},true,,,An,Lê,,7901,,"]
    for users in (anew, anew[::-1]):
        found = delta(users, [f"e1,active,{STAMP},c32,kd,u-new,student,,,"])
        made = plan([pupil], found.lines, TODAY, complete=found.complete, origin="list")
        assert not made.bad and [one.kind for one in made.changes] == ["updated"], "made anew, and still here"
    assert deleted("true,,,,,,7999,,").changes == () and deleted("true,,,An,Lê,,,,").changes == ()


def test_of_several_words_of_a_delta_about_one_the_newest_counts() -> None:
    def user(name: str, moment: str) -> str:
        return f"u1,active,{moment},true,,,{name},Lê,,1,,"

    enrolled = [f"e1,active,{STAMP},c32,kd,u1,student,,,"]
    moments = ["2026-11-25T10:00:00+07:00", "2026-11-25T04:00:00Z", "2026-11-25T03:30:00.000Z"]
    found = delta([user(name, moment) for name, moment in zip("ABC", moments, strict=True)], enrolled)
    assert [line.name for line in found.lines] == ["Lê B"]
    same_time = delta([user("A", moments[0]), user("B", "2026-11-25T03:00:00Z")], enrolled)
    assert one_fault(same_time).code == "code-twice"


def test_who_leaves_a_class_without_a_new_one_is_told() -> None:
    found = delta([f"u1,active,{STAMP},true,,,An,Lê,,1,,"], [f"e1,tobedeleted,{STAMP},c32,kd,u1,student,,,"])
    assert [(fault.code, fault.stops) for fault in found.faults] == [("class-ended", False)]
    assert [line.school_class for line in found.lines] == [None]


@pytest.mark.parametrize("mode", ["users", "enrollments"])
def test_a_zip_of_which_one_file_is_a_delta_claims_nothing_of_who_is_missing(mode: str) -> None:
    text = {"users": USERS, "enrollments": ENROLLMENTS}[mode].replace(",,,", f",active,{STAMP},", 1)
    lines = [text.splitlines()[0], *(line.replace(",,,", f",active,{STAMP},", 1) for line in text.splitlines()[1:])]
    lines = [line.replace(f"active,{STAMP},active,{STAMP}", f"active,{STAMP}") for line in lines]
    changed: dict[str, Any] = {mode: "\n".join(lines), "manifest": manifest(**{mode: "delta"})}
    assert not read(**changed).complete


# --- what doesn't fit -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"manifest": manifest(version="2.0")}, ("no-version", "manifest.csv", "oneroster.version")),
        ({"manifest": manifest(users="full")}, ("no-mode", "manifest.csv", "file.users")),
        ({"manifest": manifest().replace("file.users,bulk\r\n", "")}, ("no-mode", "manifest.csv", "file.users")),
        ({"manifest": manifest(demographics="bulk")}, ("no-file", "manifest.csv", "file.demographics")),
        ({"manifest": manifest(users="absent", enrollments="absent")}, ("no-file", "manifest.csv", "file.users")),
        ({"users": USERS.replace("givenName", "name")}, ("no-column", "users.csv", "givenName".lower())),
        ({"users": USERS + 'u3,"x"y,\r\n'}, ("no-csv", "users.csv", "")),
        ({"users": USERS + "u3,,\r\n"}, ("cells-short", "users.csv", "")),
        ({"users": USERS + "u1,,,true,,,An,Lê,,9,,\r\n"}, ("code-twice", "users.csv", "sourcedId")),
        ({"users": USERS.replace("7902", "7901")}, ("code-twice", "users.csv", "identifier")),
        ({"users": USERS.replace("7902", "079215001234")}, ("personal-number", "users.csv", "identifier")),
        ({"users": USERS.replace("Bình", "=B1")}, ("characters", "users.csv", "givenName")),
        ({"users": USERS.replace("Trần", "=Trần")}, ("formula", "users.csv", "givenName")),
        ({"users": USERS.replace("Trần", "T\u202er")}, ("characters", "users.csv", "givenName")),
        ({"users": USERS.replace("Bình,Trần", ",")}, ("missing", "users.csv", "givenName")),
        ({"users": USERS.replace("Trần", "T" * 130)}, ("too-long", "users.csv", "givenName")),
        ({"users": USERS.replace("Trần", "T" * 2001)}, ("long-text", "users.csv", "")),
        ({"classes": CLASSES.replace("3/3", "03/03/2026")}, ("class-is-date", "classes.csv", "title")),
        ({"classes": CLASSES.replace("3/3", "<b>")}, ("characters", "classes.csv", "title")),
        ({"classes": CLASSES.replace("c33,", "c44,")}, ("no-such", "enrollments.csv", "classSourcedId")),
        (
            {"enrollments": ENROLLMENTS.replace("kd,u2", "xx,u2")},
            ("several-schools", "enrollments.csv", "schoolSourcedId"),
        ),
        ({"enrollments": ENROLLMENTS.replace("u2", "u5")}, ("no-such", "enrollments.csv", "userSourcedId")),
        ({"enrollments": ENROLLMENTS.replace("kd", "zz")}, ("no-such", "enrollments.csv", "schoolSourcedId")),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_by_file_line_and_column(
    changed: dict[str, str], fault: tuple[str, str, str]
) -> None:
    found = read(**changed)
    if fault[0] in ("several-schools", "no-such"):
        assert fault in [(each.code, each.sheet, each.header) for each in found.faults]
    else:
        each = one_fault(found)
        assert (each.code, each.sheet, each.header) == fault
    assert all(each.vi and each.en for each in found.faults) and not found.sound


def test_a_pupil_in_no_class_and_a_file_of_nobody_are_told() -> None:
    users = USERS + "u3,,,true,,,Cẩm,Lê,,9,,\r\n"
    roles = csv_of("sourcedId,userSourcedId,role", "r1,u1,student", "r2,u2,student", "r3,u3,student")
    fault = one_fault(read(users=users, manifest=manifest(roles="bulk"), roles=roles))
    assert (fault.code, fault.sheet, fault.row) == ("no-homeroom", "users.csv", 5)
    assert one_fault(read(users=USERS_HEADER, enrollments=ENROLLMENTS_HEADER)).code == "no-rows"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"u1,,{STAMP},true,,,An,Lê,,1,,", "no-status"),
        (f"u1,gone,{STAMP},true,,,An,Lê,,1,,", "no-status"),
        ("u1,active,,true,,,An,Lê,,1,,", "no-moment"),
        ("u1,active,hôm qua,true,,,An,Lê,,1,,", "no-moment"),
        (f",active,{STAMP},true,,,An,Lê,,1,,", "missing"),
        (f"079215001234,active,{STAMP},true,,,An,Lê,,1,,", "personal-number"),
    ],
)
def test_a_deltas_lines_say_what_and_when(line: str, code: str) -> None:
    assert one_fault(delta([line], [])).code == code


@given(
    st.dictionaries(
        st.sampled_from(["users.csv", "enrollments.csv", "classes.csv", "orgs.csv", "manifest.csv", "roles.csv"]),
        st.one_of(st.text(max_size=60), st.sampled_from([USERS, ENROLLMENTS, CLASSES, manifest(), manifest("delta")])),
    )
)
@settings(max_examples=250, deadline=None)
def test_any_files_give_faults_and_never_an_exception(changed: dict[str, str]) -> None:
    members = {name: str(text) for name, text in (oneroster() | changed).items()}
    found = read_oneroster("f", members, TODAY)
    assert found.lines or found.faults or not found.complete
    for line in found.lines:
        assert line.city_id
