"""Paper: lists to print, and a paper roll call entered afterwards as what a person said, with who filled it in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hub.web.officeroom import OfficeRoom, csrf_in, office_room


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OfficeRoom]:
    with office_room(tmp_path_factory.mktemp("paper")) as made:
        yield made


def entered(office: OfficeRoom, role: str, school_class: str, **words: str) -> object:
    """A paper of 3/2 typed in: pupil -> letter, with who filled it in and when."""
    client = office.browser("teacher", "3/2") if role == "teacher" else office.browser(role)  # type: ignore[arg-type]
    more = {"filled_by": "Cô Lan", "filled_at": "07:10", "day": office.day(), "half": "am"}
    fields: dict[str, object] = {"csrf": csrf_in(client.get("/me"))}
    for name, value in (more | {k: v for k, v in words.items() if k in {*more, "rest"}}).items():
        fields[name] = value
    typed = {key: word for key, word in words.items() if key not in {*more, "rest"}}
    fields |= {"pupil": [f"st-{key}" for key in typed], "code": list(typed.values())}
    return client.post("/paper/entry", params={"class": school_class}, data=fields)


def said(office: OfficeRoom) -> dict[str, tuple[str, str, str, str]]:
    today = office.today()
    return {
        one.pupil: (one.state, how, one.by, one.reason) for one, how, _ in office.store.days.statements(today, today)
    }


def test_a_paper_is_entered_as_what_a_person_said(office: OfficeRoom) -> None:
    answer = entered(office, "teacher", "3/2", an="p", be="M", dung="", chi="k")
    assert answer.status_code == 303  # type: ignore[attr-defined]
    how = ("paper", "teacher.3-2", "giấy: Cô Lan, 07:10")
    assert said(office) == {"st-an": ("excused", *how), "st-be": ("late", *how), "st-chi": ("unexcused", *how)}
    page = office.browser("teacher", "3/2").get("/paper/entry").text
    assert "teacher.3-2" in page and "<script>alert" not in page
    # Who isn't typed is not taken for present, unless the paper says so.
    answer = entered(office, "principal", "3/2", an="", dung="", rest="1", filled_by="Thầy Ba")
    assert said(office)["st-dung"] == ("present", "paper", "principal.all", "giấy: Thầy Ba, 07:10")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"an": "x"}, "C, M, S, P, K, V"),
        ({"an": ""}, "Chưa ghi gì"),
        ({"an": "c", "filled_by": " "}, "ai đã điền"),
        ({"an": "c", "filled_at": ""}, "ai đã điền"),
        ({"hoa": "c"}, "Không ghi được"),
        ({"an": "c", "day": "1900-01-01"}, "Không ghi được"),
        ({"an": "c", "day": "9999-12-31"}, "Không ghi được"),
    ],
)
def test_what_is_no_paper_is_refused_and_what_was_typed_stays(
    office: OfficeRoom, words: dict[str, str], told: str
) -> None:
    before = said(office)
    answer = entered(office, "principal", "3/2", **words)
    assert answer.status_code == 400 and told in answer.text  # type: ignore[attr-defined]
    assert said(office) == before


def test_a_teacher_enters_no_other_class(office: OfficeRoom) -> None:
    assert entered(office, "teacher", "3/3", hoa="k").status_code == 403  # type: ignore[attr-defined]
    assert entered(office, "guard", "3/3", hoa="k").status_code == 403  # type: ignore[attr-defined]


def test_lists_to_print_hold_the_class_in_the_order_of_names_and_nothing_else(office: OfficeRoom) -> None:
    teacher, guard = office.browser("teacher", "3/2"), office.browser("guard")
    page = teacher.get("/paper", params={"half": "pm"}).text
    places = [page.index(name) for name in ("Nguyễn Văn An", "Lê Thị Bé", "Trần Đức Dũng", "&lt;script&gt;")]
    assert places == sorted(places) and "Đặng Hoà" not in page and "buổi chiều" in page
    assert teacher.get("/paper", params={"class": "3/3"}).status_code == 403
    assert guard.get("/paper").status_code == 403
    gate = guard.get("/paper/gate").text
    assert gate.index("3/2</h2>") < gate.index("3/3</h2>") and "Đặng Hoà" in gate
    assert teacher.get("/paper", params={"day": "9999-12-31"}).status_code == 422
    assert teacher.get("/paper", params={"day": "2031-12-31"}).status_code == 200
