"""Meals against what comes badly: records without a time, days that are none, names that want to be more than names."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any

import httpx2 as httpx
import pytest
from pypdf import PdfReader

from protocol.cards import parse_card
from protocol.meals import MealTap
from protocol.taps import ClockData, TapData, tap_type
from tests.hub.handmade import T0_MS
from tests.hub.web.dayhub import DAY, HOSTILE, ROSTER, ms_at
from tests.hub.web.mealhub import MealHub, meal_hub
from tests.hub.web.pagehub import CLASS, OTHER_CLASS, csrf_in

NAMED = tuple(replace(row, display_name=name) for row, name in zip(ROSTER, HOSTILE, strict=False))
MONTH = f"{DAY:%Y-%m}"
PAGES = (
    "/meals", "/meals/live", "/meals/public", "/meals/conflicts", f"/meals/conflicts?class={CLASS}",
    f"/meals/cuts?class={CLASS}", f"/meals/enrolments?class={CLASS}", f"/meals/diets?class={CLASS}",
    f"/meals/paper?class={CLASS}", f"/meals/month?month={MONTH}", f"/meals/month?month={MONTH}&class={CLASS}",
    f"/meals/slip?pupil=st-3-2-0&month={MONTH}", "/meals/menu", "/meals/ratings", "/incident?kind=meal",
    "/incident?kind=hours",
)  # fmt: skip
PROGRAMS = (
    "/v1/meals/enrolments", "/v1/meals/cuts", "/v1/meals/locks", "/v1/meals/sheet", "/v1/meals/servings",
    f"/v1/meals/servings?class={CLASS}", "/v1/meals/public", f"/v1/meals/months?month={MONTH}",
    f"/v1/meals/months?month={MONTH}&class={CLASS}", "/v1/incidents/lists?meal=lunch", "/v1/incidents/lists?hours=72",
)  # fmt: skip
FILES = (
    "/meals/sheet/file", "/meals/public/file", f"/meals/month/file?month={MONTH}",
    f"/meals/slip/file?month={MONTH}&pupil=st-3-2-0",
)  # fmt: skip


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MealHub]:
    roster = (*NAMED, *ROSTER[len(NAMED) :])
    with meal_hub(tmp_path_factory.mktemp("hostile") / "hub", roster=roster) as made:
        made.serve("st-3-2-0", "11:15")
        made.deliver()
        poison(made)
        made.now("12:00")
        yield made


def poison(hub: MealHub) -> None:
    """Records as a broken or hostile counter signs them: no clock, days that no calendar has, words about anything."""
    hub.run = hub.gate.run(err_ms=None, after=hub.run)
    hub.run.boot, hub.sent = secrets.token_hex(4), 0
    key = hub.store.secrets.card_keys()[-1]
    for number, day in enumerate(("0001-01-01", "9999-12-31", "2026-02-30", DAY.isoformat(), "1970-01-01", "")):

        def data(at: ClockData, number: int = number, day: str = day) -> TapData:
            said = MealTap(day, "lunch", 8, 1)
            card = key.keyed(parse_card(hub.cards[f"st-3-2-{number}"]))
            return TapData(
                "canteen", "quay-9", None, card, f"st-3-2-{number}", "accepted", None, "ok", "r-1", at, meal=said
            )  # type: ignore[arg-type]

        for mono_ms in (-T0_MS, ms_at("11:20") - T0_MS, 250_000_000_000_000):
            hub.run.add(tap_type("canteen", "accepted"), data, mono_ms=mono_ms, err_ms=None)
    tap = f"{hub.run.journal}.2"
    for about in (tap, "0123456789abcdef.1", "\u202e" * 20, "x" * 5_000):
        said: dict[str, Any] = {
            "tap": about, "source": hub.run.source, "was": None, "student": None, "card": "", "why": "done",
            "detail": "=1+1", "by": "\u202eđảo",
        }  # fmt: skip
        hub.run.add("meal.correction", said, err_ms=None)
    for day in ("2026-02-30", "", "0001-01-01"):
        hub.run.add("meal.rated", {"point": "khay", "day": day, "meal": "lunch", "face": "good"}, err_ms=None)
    hub.deliver()


def test_records_without_a_time_break_no_page_paper_or_program(hub: MealHub) -> None:
    principal = hub.who("principal")
    assert {path: principal.get(path).status_code for path in (*PAGES, *PROGRAMS)} == dict.fromkeys(
        (*PAGES, *PROGRAMS), 200
    )
    for path in FILES:
        for form in ("xlsx", "csv", "pdf"):
            more = "&" if "?" in path else "?"
            assert principal.get(f"{path}{more}format={form}").status_code == 200, (path, form)
    assert principal.get(f"/meals/month/pack?month={MONTH}").status_code == 200
    # What else is written of meals still counts.
    hub.store.mealoffice.cut("co.lan", "st-3-2-7", DAY, DAY)
    hub.settle()
    assert any(one["student"] == "st-3-2-7" for one in principal.get("/v1/meals/cuts").json()["items"])


def test_names_stay_names_on_pages_and_in_files(hub: MealHub) -> None:
    principal = hub.who("principal")
    for path in PAGES:
        page = principal.get(path).text
        assert "<script>window.struck" not in page and 'x" onfocus=' not in page, path
    slip = f"/meals/slip/file?month={MONTH}&pupil=st-3-2-2&format=pdf"
    printed = "".join(page.extract_text() for page in PdfReader(BytesIO(principal.get(slip).content)).pages)
    assert "Nguyễn" in printed and "gnah" in printed and "\u202e" not in printed, "a name can't turn its line around"
    month = principal.get(f"/meals/month/file?month={MONTH}&format=csv").text
    assert '"=HYPERLINK' not in month and ",=HYPERLINK" not in month


def test_whose_pupil_it_was_once_says_nothing_of_the_days_since(hub: MealHub) -> None:
    """st-3-2-8 was of 3/2 until yesterday, and is of 3/3 today."""
    before, today = (DAY - timedelta(days=3)).isoformat(), DAY.isoformat()
    teacher, own = hub.who("teacher"), hub.who("teacher", OTHER_CLASS)
    standing = hub.store.mealoffice.cut("co.lan", "st-3-2-8", DAY - timedelta(days=3), DAY, reason="nghỉ").record
    hub.run = hub.gate.run(after=hub.run)
    hub.sent = 0
    tap = hub.serve("st-3-2-8", "11:40")
    hub.deliver()
    with hub.store.database.transaction():
        person = hub.store.people.find("st-3-2-8")
        assert person is not None
        hub.store.people.change(replace(person, school_class=OTHER_CLASS), DAY)
    hub.settle()

    def send(client: httpx.Client, path: str, **fields: str) -> int:
        return client.post(path, data={"csrf": csrf_in(client.get("/me"))} | fields).status_code

    cut = {"pupil": "st-3-2-8", "last": today, "why": "nghỉ"}
    assert send(teacher, "/meals/cut", day=before, **cut) == 403
    assert send(teacher, "/meals/cut/back", day=before, act=standing, why="nhầm") == 403
    assert send(teacher, "/meals/settle", day=before, tap=tap, why="undone") == 403
    secret = hub.ask("token-add", role="teacher", name="cua co", **{"class": CLASS}).split()[-1]
    program = hub.client(authorization=f"Bearer {secret}", accept="application/json")
    body = {"student": "st-3-2-8", "first": before, "last": today, "reason": "nghỉ"}
    assert program.post("/v1/meals/cuts", json=body).status_code == 403
    assert program.delete(f"/v1/meals/cuts/{standing}").status_code == 403
    assert program.post("/v1/meals/servings", json={"tap": tap, "why": "undone"}).status_code == 403
    assert send(own, "/meals/settle", day=today, tap=tap, why="undone") == 303
    assert send(own, "/meals/cut/back", day=today, act=standing) == 303
