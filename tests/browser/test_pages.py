"""Every page in a real browser: role by width by look by language, each pair of them at least once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route

from hub.web.registry import PAGES
from tests.browser.walking import NOBODY, Walker, some_rows, walker

PAGE = 0
LIST = "Mã lớp,Mã học sinh,Họ tên,Ngày sinh\n3/2,HS001,Nguyễn Văn Mới,01/02/2018\n"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walker]:
    with walker(tmp_path_factory.mktemp("browser") / "hub") as made:
        yield made


def test_every_page_has_an_address(chromium: Walker) -> None:
    assert {page.path for page in PAGES if "{" in page.path} <= set(chromium.addresses)


def test_every_page_is_sound_for_every_role_width_look_and_language(chromium: Walker) -> None:
    rows = some_rows()
    assert {row[PAGE] for row in rows} == {page.path for page in PAGES}
    found = {row: problems for row in rows if (problems := chromium.visit(row))}
    assert not found, "\n".join(f"{row}: {problem}" for row, problems in found.items() for problem in problems)


@pytest.mark.parametrize(("width", "theme", "language"), [("390", "light", "vi"), ("1280", "dark", "en")])
def test_what_comes_after_a_form_is_sound_too(chromium: Walker, width: str, theme: str, language: str) -> None:
    assert chromium.visit(("/users/new", "it", width, theme, language)) == []
    page = chromium.page("it")
    page.fill("#shown", "Trần Thị Mai <b>")
    page.fill("#name", f"co.mai{width}")
    page.select_option("#role", "teacher")
    _send(page)
    assert "problem" in page.content(), "a teacher needs a class"
    # The status of a form that was not taken is told in the console as well.
    chromium.problems = [one for one in chromium.problems if "400" not in one]
    assert chromium.look(page, language) == []
    page.fill("#school_class", "3/2")
    _send(page)
    assert page.locator("svg").count() == 1 and chromium.look(page, language) == []
    page.goto(f"{chromium.hub.url}/nothing-here")
    chromium.problems = [one for one in chromium.problems if "404" not in one]
    assert page.locator("code").inner_text() == "status-404" and chromium.look(page, language) == []
    assert chromium.visit(("/login", NOBODY, width, theme, language)) == []


def _send(page: Page, button: str = "button.main") -> None:
    """A form and the page that answers, whole."""
    with page.expect_navigation(wait_until="load"):
        page.click(button)


WRONG = """() => {
  const main = document.querySelector('main');
  main.insertAdjacentHTML('beforeend', `<p class="hint" id="pale">chữ quá nhạt để đọc</p>
    <button id="tiny">x</button><input>
    <img src="http://foreign.example/a.png" alt=""><div id="wide">rộng</div>`);
  document.getElementById('pale').style.color = '#aaaaaa';
  Object.assign(document.getElementById('tiny').style, { minHeight: '20px', padding: 0 });
  document.getElementById('wide').style.width = '3000px';
}"""


def test_the_walk_sees_what_is_wrong(chromium: Walker) -> None:
    assert chromium.visit(("/me", "guard", "390", "light", "vi")) == []
    chromium.page("guard").evaluate(WRONG)
    found = "\n".join(chromium.look(chromium.page("guard"), "en"))
    for seen in ("color-contrast", "axe label", "small: <button", "sideways", "lang is not", "content security policy"):
        assert seen in found.lower().replace("“", ""), f"{seen}: {found}"


def test_people_log_in_switch_language_and_look_and_leave(chromium: Walker) -> None:
    page = chromium.browser.new_context().new_page()
    page.goto(f"{chromium.hub.url}/audit")
    assert page.url.endswith("/login?next=/audit")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip", "the first key leads to the content"
    page.fill("#name", "it.user")
    page.fill("#password", "mot cau ngan de nho")
    page.keyboard.press("Enter")
    page.wait_for_url("**/audit")
    page.click("footer button[name=language]")
    page.wait_for_load_state()
    assert page.url.endswith("/audit") and page.get_attribute("html", "lang") == "en"
    dark = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(dark)
    page.click("footer button[value=dark]")
    page.wait_for_load_state()
    assert page.get_attribute("html", "data-theme") == "dark" and page.evaluate(dark) != before
    page.click("header button")
    page.wait_for_url("**/login")
    page.go_back()
    page.wait_for_load_state()
    assert "/login" in page.url, "what was on the screen is not kept by the browser"
    page.context.close()


def test_a_part_renews_itself_and_says_when_it_can_not(chromium: Walker) -> None:
    page = chromium.page("it")
    page.goto(f"{chromium.hub.url}/devices")
    chromium.hub.store.carry_out("devices-accept", {"device": "cong-sau", "fingerprint": None})
    page.get_by_text("cong-sau").wait_for(timeout=8000)
    page.context.set_offline(True)
    page.locator("body.stale").wait_for(timeout=8000)
    assert page.locator("#live").inner_text().startswith("No connection") or "Mất kết nối" in page.content()
    page.context.set_offline(False)
    page.locator("body:not(.stale)").wait_for(timeout=8000)
    chromium.problems.clear()


def test_a_stream_is_taken_up_again_and_its_silence_is_seen(chromium: Walker) -> None:
    page = chromium.browser.new_context().new_page()
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=200, content_type="text/event-stream", body='retry: 50\ndata: {"tap": 1}\n\n')
        elif len(asked) == 2:
            route.fulfill(status=503, body="")
        else:
            route.fulfill(status=200, content_type="text/event-stream", body='retry: 60000\ndata: {"tap": 2}\n\n')

    page.route("**/v1/try", answer)
    page.goto(f"{chromium.hub.url}/login")
    page.evaluate("""() => {
      window.heard = [];
      addEventListener('k12', (event) => { document.body.dataset.heard = window.heard.push(event.detail.tap); });
      const part = document.createElement('div');
      Object.assign(part.dataset, { stream: '/v1/try', again: '50' });
      document.body.append(part);
      k12.stream(part);
    }""")
    page.locator("body[data-heard='2']").wait_for(timeout=8000)
    assert page.evaluate("window.heard") == [1, 2] and len(asked) == 3, "after an end, and after an error"
    page.locator("body.stale").wait_for(timeout=8000)
    page.evaluate("""() => {
      window.EventSource = class { addEventListener() {} };
      const part = document.createElement('div');
      part.dataset.silent = '100';
      k12.stream(part).onopen();
    }""")
    assert page.evaluate("document.body.className") == "", "it was heard"
    page.locator("body.stale").wait_for(timeout=8000)
    page.context.close()


def test_an_undo_waits_for_whoever_needs_time(chromium: Walker) -> None:
    page = chromium.page("it")
    page.goto(f"{chromium.hub.url}/me")
    page.evaluate("k12.toast('đã ghi', () => { window.undone = true; })")
    assert page.locator("#live").get_attribute("aria-live") == "polite"
    page.locator("#live button").click()
    assert page.evaluate("window.undone") is True and page.locator("#live").inner_text() == ""


@pytest.mark.parametrize(("width", "theme", "language"), [("390", "dark", "vi"), ("1280", "light", "en")])
def test_what_the_offices_forms_answer_is_sound_too(chromium: Walker, width: str, theme: str, language: str) -> None:
    assert chromium.visit(("/cards", "it", width, theme, language)) == []
    page = chromium.page("it")
    page.fill("#q", "binh")
    _send(page, "form.row button.main")
    assert "Bình" in page.content() and chromium.look(page, language) == []
    page.goto(f"{chromium.hub.url}/calendar")
    page.click("details:has(#h-first) summary")
    page.fill("#h-first", "2027-02-08")
    page.fill("#h-why", "Tết <b>")
    _send(page, "details:has(#h-first) button.main")
    assert page.locator("[name=fields]").count() == 1 and chromium.look(page, language) == []
    page.goto(f"{chromium.hub.url}/roster")
    page.set_input_files("#file", {"name": "ds.csv", "mimeType": "text/csv", "buffer": LIST.encode()})
    _send(page, "form[action='/roster/preview'] button")
    assert page.locator("[name=secret]").count() == 1 and chromium.look(page, language) == []
