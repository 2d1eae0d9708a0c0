"""The school day in a browser: absentees on a phone, keys on the sheet, the live board, a copy without the hub."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from hub.access.rights import Role
from hub.web import pulse
from hub.web.doorman import cookie_name
from tests.browser.walking import CHROMIUM
from tests.hub.running import until
from tests.hub.web.dayhub import DAY, HOSTILE, ROSTER, DayHub, RosterRow, day_hub
from tests.hub.web.pagehub import BOUND, CLASS
from tests.patience import within

MINE = [row.pupil_key for row in ROSTER if row.school_class == CLASS]
NAMES = {row.pupil_key: row.display_name for row in ROSTER}
PAINTED = """() => {
  window.painted = {};
  new MutationObserver(() => requestAnimationFrame(() => {
    for (const row of document.querySelectorAll('#taps tr')) window.painted[row.dataset.tap] ??= Date.now();
  })).observe(document.body, { childList: true, subtree: true });
}"""
"""When a row was painted, by the clock that this machine's hub has too."""
TAPS = 24
PAINTED_MS_MAX = 300
"""Of issue 5, on a machine that does nothing else; a loaded one is given ten times that, for nothing is lost by it."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DayHub]:
    odd = [RosterRow(f"st-odd-{n}", name, "9/9", f"a:05{n:010X}81") for n, name in enumerate(HOSTILE)]
    with day_hub(tmp_path_factory.mktemp("day") / "hub", roster=[*ROSTER, *odd]) as made:
        for pupil in MINE[:8]:
            made.tap(pupil, "06:50")
        made.deliver()
        made.heard()
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM is not None, "chromium is not installed (tests/install-system-packages)"
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.getuid() == 0 else [])
        yield made
        made.close()


@pytest.fixture(autouse=True)
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "BEAT_S", 0.5)


def tab(hub: DayHub, browser: Browser, role: Role, name: str, width: int = 390, **words: str) -> Page:
    """Somebody's tab, logged in."""
    hub.ask("user-add", name=name, role=role, **{**BOUND.get(role, {}), **words})
    secret = hub.store.sessions.begin(name, "browser", hub.store.clock.now_ms())
    context = browser.new_context(viewport={"width": width, "height": 844}, reduced_motion="reduce")
    context.add_cookies([{"name": cookie_name("http"), "value": secret or "", "url": hub.url, "sameSite": "Strict"}])
    page = context.new_page()
    page.set_default_timeout(15_000)
    return page


def marks(hub: DayHub) -> dict[str, str]:
    found = hub.store.classbook.marks(DAY, CLASS)
    return {m.pupil.key: m.judged.mark for m in found if m.session.half == "am"}


def test_three_absentees_on_a_phone_each_by_one_touch(hub: DayHub, browser: Browser) -> None:
    page = tab(hub, browser, "teacher", "co.lan")
    page.goto(f"{hub.url}/roll")
    began_s = time.monotonic()
    for pupil, words in zip(MINE[8:11], ("Nghỉ phép hôm nay", "Không phép", "Nghỉ phép hôm nay"), strict=True):
        row = page.locator(f"#p-{pupil}")
        row.get_by_role("button", name=words).click()
        page.locator("#live").get_by_text(NAMES[pupil]).wait_for()
        row.get_by_role("button", name=words).wait_for(state="detached")
    page.locator("form.sign button").click()
    page.get_by_text("đã xác nhận lúc 07:1").wait_for()
    took_s = time.monotonic() - began_s
    assert [marks(hub)[pupil] for pupil in MINE[8:12]] == ["excused", "unexcused", "excused", "not-known"]
    assert took_s <= 15, f"{took_s:.1f} s"
    assert "chỉ lưu ở" in page.locator("#here").inner_text()
    # The last one by mistake: taken back by the word that is still there.
    page.locator(f"#p-{MINE[10]}").get_by_role("button", name="Bỏ đơn nghỉ").click()
    page.locator(f"#p-{MINE[10]}").get_by_role("button", name="Nghỉ phép hôm nay").click()
    page.locator("#live button").click()
    page.locator("#live").get_by_text("Đã hoàn tác.").wait_for()
    assert marks(hub)[MINE[10]] == "not-known"
    page.context.close()


def test_a_tap_moves_its_pupil_while_the_teacher_looks(hub: DayHub, browser: Browser) -> None:
    page = tab(hub, browser, "substitute", "co.mai")
    page.goto(f"{hub.url}/roll")
    page.locator(f"#roll > form #p-{MINE[11]}").wait_for()
    hub.tap(MINE[11], "07:09")
    hub.deliver()
    page.locator(f"details.there #p-{MINE[11]}").wait_for(state="attached")
    assert page.locator(f"#roll > form #p-{MINE[11]}").count() == 0
    page.context.close()


def test_one_key_a_state_on_the_class_sheet(hub: DayHub, browser: Browser) -> None:
    page = tab(hub, browser, "teacher", "co.thu", width=1024)
    page.goto(f"{hub.url}/class")
    first, second = MINE[2], MINE[3]
    rows = page.locator("table.sheet tbody tr").evaluate_all("rows => rows.map((row) => row.id)")
    at = rows.index(f"p-{first}")
    page.keyboard.press("k")
    page.locator(f"#p-{first} button[data-key=c]").focus()
    page.keyboard.press("k")
    page.locator(f"#p-{first} .mark.unexcused").wait_for()
    expect(page.locator(f"#p-{first} button[data-key=k]")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("m")
    page.locator(f"#{rows[at + 1]} .mark.late").wait_for()
    assert marks(hub)[first] == "unexcused" and second in {row[2:] for row in rows}
    assert sorted(marks(hub).values()).count("late") == 1, "a key without a row does nothing"
    page.keyboard.press("x")
    page.locator(f"#{rows[at + 1]} .mark.late").wait_for(state="detached")
    page.locator(f"#p-{first} button[data-key=x]").click()
    page.locator(f"#p-{first} .mark.present").first.wait_for()
    page.emulate_media(media="print")
    assert not page.locator("form.sign, header, .keys").first.is_visible() and page.locator(".signature").is_visible()
    page.context.close()


def test_a_tap_is_on_the_board_soon_after_it_reached_the_hub(hub: DayHub, browser: Browser) -> None:
    page = tab(hub, browser, "guard", "bac.bao")
    page.goto(f"{hub.url}/gate")
    page.evaluate(PAINTED)
    came: dict[str, int] = {}
    for number in range(TAPS):
        record = hub.tap(MINE[number % 8], f"07:09:{10 + number}")
        came[record] = time.time_ns() // 1_000_000
        hub.deliver(wait=False)
        page.wait_for_function("tap => tap in window.painted", arg=record, polling=20)
    painted = page.evaluate("window.painted")
    took = sorted(painted[record] - at_ms for record, at_ms in came.items())
    assert took[int(0.95 * len(took))] <= PAINTED_MS_MAX * 10, took
    print(f"tap at the hub -> painted: median {took[len(took) // 2]} ms, p95 {took[int(0.95 * len(took))]} ms")
    assert page.locator("#taps tr").first.inner_text().split("\t")[0].startswith("07:09:33")
    hub.status.fleet.lost(hub.gate.device, hub.store.clock.mono_ms() - 12_000)
    page.locator(".device.stale").wait_for()
    assert page.locator(".device.live").count() == 0
    assert "giây trước" in page.locator(".device.stale").inner_text()
    page.context.close()


def test_a_guard_finds_a_name_without_accents_as_it_is_typed(hub: DayHub, browser: Browser) -> None:
    page = tab(hub, browser, "guard", "bac.hai")
    page.goto(f"{hub.url}/guard")
    page.locator("#q").press_sequentially("dang minh 3/2", delay=10)
    page.locator("#found").get_by_role("button", name="Đặng Minh Em 3/2").click()
    page.locator("#admitted").get_by_text("Đặng Minh Em", exact=True).wait_for()
    assert "dang" not in page.url
    page.locator("#live button").click()
    page.locator("#admitted").get_by_text("Đặng Minh Em", exact=True).wait_for(state="detached")
    page.locator("#q").fill("<scr")
    page.locator("#found").get_by_text(HOSTILE[0], exact=True).wait_for()
    page.goto(f"{hub.url}/onsite")
    assert page.evaluate("window.struck") is None
    page.context.close()


def test_who_is_on_site_is_shown_without_the_hub_with_its_age_and_gone_after_the_login(
    hub: DayHub, browser: Browser
) -> None:
    page = tab(hub, browser, "guard", "bac.ba")
    page.goto(f"{hub.url}/onsite")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    page.locator("section.class").first.wait_for()
    page.context.set_offline(True)
    page.reload()
    page.locator("#age strong").wait_for()
    assert NAMES[MINE[0]] in page.content() and "Bản lưu trên máy này" in page.locator("#age").inner_text()
    page.context.set_offline(False)
    page.goto(f"{hub.url}/onsite")
    assert page.locator("#age strong").count() == 0
    page.click("header button")
    page.wait_for_url("**/login")
    page.wait_for_function("caches.has('onsite-1').then((is) => !is)")
    page.context.close()


def test_a_stopping_hub_ends_its_streams_at_once_and_the_page_is_grey(tmp_path: Path, browser: Browser) -> None:
    with day_hub(tmp_path / "hub") as hub:
        page = tab(hub, browser, "guard", "bac.tu")
        page.goto(f"{hub.url}/gate")
        until(lambda: hub.listeners(), "the stream is open")
        began_s = time.monotonic()
    assert time.monotonic() - began_s < within(2.5)
    page.locator("body.stale").wait_for()
    assert "Mất kết nối" in page.locator("#live").inner_text()
    page.context.close()
