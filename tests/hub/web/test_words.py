"""What the pages say: every text has its English, none is left over, and times are Vietnam's with their date."""

from __future__ import annotations

import re
from datetime import date
from string import Formatter

import pytest

from hub.days.office import EntryRefused
from hub.web.troubles import TROUBLES, troubles
from hub.web.words import CATALOG, WEEKDAYS, counted, shown_day, shown_time, translated
from tests.hub.web.catalog import WEB, catalog, texts, untranslated

FIELD = re.compile(r"%\((\w+)\)")


def test_every_text_has_its_english_and_none_is_left_over() -> None:
    shown = {text if isinstance(text, str) else text[0] for text in texts()}
    told = {message.id if isinstance(message.id, str) else message.id[0] for message in catalog() if message.id}
    assert shown - told == set(), "run: .venv/bin/python -m tests.hub.web.catalog"
    assert told - shown == set(), "run: .venv/bin/python -m tests.hub.web.catalog"
    assert untranslated(catalog()) == []
    assert "fuzzy" not in CATALOG.read_text(encoding="utf-8")


def test_translations_fill_in_the_same_values() -> None:
    for message in catalog():
        if message.id:
            one = message.id if isinstance(message.id, str) else message.id[0]
            for english in (message.string,) if isinstance(message.string, str) else message.string:
                assert set(FIELD.findall(one)) == set(FIELD.findall(english)), one


def test_templates_say_nothing_beside_the_catalog() -> None:
    """A word of a template stands in `_()` or `trans`, or it is shown in one language only."""
    for path in sorted(WEB.glob("templates/*.html")):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"{%-? *trans.*?endtrans *-?%}|{{.*?}}|{%.*?%}|{#.*?#}", "", text, flags=re.DOTALL)
        plain = re.sub(r"<[^>]*>", " ", text)
        words = set(re.findall(r"[^\W\d_]{2,}", plain)) - {"ms", "edge", "SHA", "doctype", "html"}
        assert not words, f"{path.name}: {words}"


def test_texts_that_count_have_one_form_in_vietnamese_and_two_in_english() -> None:
    text = "Sai nhiều lần. Hãy thử lại sau %(count)s giây."
    assert counted("vi", text, text, 5) == text
    assert counted("en", text, text, 1).endswith("second.") and counted("en", text, text, 2).endswith("seconds.")
    assert translated("en", "không có chữ này") == "không có chữ này"


def test_times_are_vietnams_and_carry_their_date() -> None:
    # 2026-11-25T17:05:09Z is the next day's first hour in Vietnam.
    assert shown_time(1_795_626_309_000) == "00:05:09 26/11/2026"
    assert shown_day(date(2026, 11, 26), "vi") == "Thứ Năm 26/11/2026"
    assert shown_day(date(2026, 11, 29), "en") == "Sun 29/11/2026"
    assert all(len(days) == 7 for days in WEEKDAYS.values())


@pytest.mark.parametrize("code", [*TROUBLES, "status-418", "ledger-failed"])
def test_each_trouble_says_what_happened_what_was_kept_and_what_to_do(code: str) -> None:
    assert all(part and not next(iter(Formatter().parse(part)))[1] for part in troubles(500, code))


def test_a_page_that_refuses_says_what_and_never_that_the_server_failed() -> None:
    """Every code that a page names itself has words of its own: it was no fault of the machine's."""
    said = re.compile(r"show_problem\(visit, \d{3}, (?:\"([a-z0-9-]+)\"|(EntryRefused)\.code)\)|(show_refused)\(visit")
    found = [match for path in sorted(WEB.rglob("*.py")) for match in said.finditer(path.read_text(encoding="utf-8"))]
    codes = {EntryRefused.code if match[2] or match[3] else match[1] for match in found}
    assert len(found) > 20 and codes <= TROUBLES.keys()
