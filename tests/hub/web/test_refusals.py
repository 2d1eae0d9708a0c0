"""Why a form isn't taken: each sentence that is raised has its Vietnamese, with no value that the English one lacks."""

from __future__ import annotations

import ast
import unicodedata
from datetime import date
from pathlib import Path
from string import Formatter

import pytest

from hub.days.office import EntryRefused
from hub.incidents.asking import IncidentRefused
from hub.web.refusals import REFUSALS, refusal_words
from protocol.errors import Refused

HUB = Path(__file__).parents[3] / "hub"
RAISED = ("EntryRefused", "IncidentRefused", "IncidentNotSent", "MealPlanRefused")


def said(node: ast.Call) -> tuple[object, set[str]]:
    """The sentence of a refusal that is made, None where it isn't written out, and the names of its values."""
    sentence = node.args[0] if node.args else None
    return sentence.value if isinstance(sentence, ast.Constant) else None, {str(one.arg) for one in node.keywords}


def made() -> dict[str, list[tuple[object, set[str]]]]:
    """Where refusals are made, by file and line."""
    found: dict[str, list[tuple[object, set[str]]]] = {}
    for path in sorted(HUB.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RAISED:
                found.setdefault(f"{path.relative_to(HUB)}:{node.lineno}", []).append(said(node))
    return found


def names(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def test_each_refusal_has_its_vietnamese_and_none_is_left_over() -> None:
    sentences = {sentence for ones in made().values() for sentence, _ in ones}
    assert None not in sentences, [place for place, ones in made().items() if any(one[0] is None for one in ones)]
    assert sentences == REFUSALS.keys(), sentences ^ REFUSALS.keys()


def test_each_sentence_gets_the_values_that_it_names() -> None:
    for place, ones in made().items():
        for sentence, values in ones:
            assert names(str(sentence)) == values - {"hint"}, place


def test_the_vietnamese_of_a_refusal_names_no_value_that_it_has_not() -> None:
    for english, vietnamese in REFUSALS.items():
        assert names(vietnamese) <= names(english), english
        assert unicodedata.is_normalized("NFC", vietnamese) and vietnamese == vietnamese.strip()
        assert "!r" not in vietnamese, "people's quotes are “ ”"
        assert " --" not in english, "pages and programs have fields; the command line names its options in the hint"


@pytest.mark.parametrize(
    ("problem", "vietnamese"),
    [
        (
            EntryRefused(
                "the sheet of {meal} on {day} is frozen: it can only be adjusted", meal="lunch", day=date(2026, 11, 27)
            ),
            "phiếu bữa trưa ngày 27/11/2026 đã chốt: chỉ điều chỉnh được",
        ),
        (EntryRefused("there is no cut {cut!r}", cut="{x}"), "không có lần cắt suất này"),
        (IncidentRefused("no menu names the lot {lot!r}", lot="<b>{"), "không thực đơn nào có lô “<b>{”"),
    ],
)
def test_days_and_meals_are_said_as_people_say_them(problem: Refused, vietnamese: str) -> None:
    assert refusal_words("vi", problem) == vietnamese
    assert refusal_words("en", problem) == str(problem)


def test_what_has_no_vietnamese_is_still_said() -> None:
    assert refusal_words("vi", EntryRefused("{count} new things", count=2)) == "2 new things"
