"""The roster's client and the puller over real HTTP: each bad manner of a city is met, none takes or loses a pupil."""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import time
from asyncio.base_events import _set_nodelay  # type: ignore[attr-defined]  # What it does with a socket is the point.
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvicorn

import hub.city.oneroster
from hub.app import _listening
from hub.city import login
from hub.city.oneroster import OneRoster, moment, parameters
from hub.config import load_hub_config
from hub.control import HubRefused, carry_out
from hub.rostersync.asking import Answer, Ask, Busy, Page, Refused, Unreachable
from hub.rostersync.plan import Asked
from hub.rostersync.pull import Harvest, NotPulled, Pull, PullFailed
from hub.rostersync.puller import Puller, pulled
from hub.rostersync.walk import WalkFailed
from sim.city.api import make_app
from sim.city.rosterapi import Manners, RosterApi
from sim.city.rosterbook import RosterBook
from sim.city.store import CityStore
from tests.hub.handmade import SCHOOL
from tests.hub.room import HubRoom
from tests.hub.running import HubProcess, until
from tests.patience import within

PATH = "/ims/oneroster/rostering/v1p2"
CLIENTS = {"hub": "s3cret"}


class City:
    """The reference city on a socket; its roster's book and manners are changed in place."""

    def __init__(self, folder: Path, clients: dict[str, str] | None) -> None:
        self.api = RosterApi(RosterBook(60, 1), Manners())
        self.store = CityStore(folder)
        app = make_app(self.store, clients, self.api)
        self.server = uvicorn.Server(
            uvicorn.Config(app, port=0, log_level="error", date_header=False, timeout_graceful_shutdown=1)
        )
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        until(lambda: self.server.started, "the city listens")
        self.root = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"
        self.url = self.root + PATH

    def anew(self, pupils: int = 60, *, forgets: bool = False, **manners: Any) -> City:
        self.api.book = RosterBook(pupils, 1, forgets=forgets)
        self.act(**manners)
        return self

    def act(self, **manners: Any) -> None:
        self.api.manners = Manners(**manners)

    def end(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.store.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    made = City(tmp_path_factory.mktemp("city"), None)
    yield made
    made.end()


@pytest.fixture
def city(served: City) -> City:
    return served.anew()


@pytest.fixture
def client(city: City) -> Iterator[OneRoster]:
    made = OneRoster(city.url)
    yield made
    made.close()


def gathered(client: OneRoster) -> Harvest:
    """A full pull, without its waits."""
    pull = Pull("full", None, Random(1))
    while (ask := pull.ask()) is not None:
        pull.take(client.ask(ask))
    return pull.harvest()


def users_of(found: Harvest) -> set[str]:
    return set(found.collections["users"].rows)


# --- the client -------------------------------------------------------------------------------------------------------


def test_a_question_is_one_get_by_key_with_only_what_is_read() -> None:
    asked = parameters(Ask("users", after="u-1", since_ms=1_795_564_800_123))
    assert asked["filter"] == "dateLastModified>='2026-11-25T00:00:00.123Z' AND sourcedId>'u-1'"
    assert (asked["limit"], asked["sort"], asked["orderBy"], "offset" in asked) == ("500", "sourcedId", "asc", False)
    assert "familyName" in asked["fields"] and not re.search("phone|email|sms|agents|userMaster", asked["fields"])
    assert moment(-1 << 60) == "0001-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    "manners",
    [
        {},
        {"clamp": 7},
        {"clamp": 7, "ignores_filter": True},
        {"clamp": 7, "refuses_filter": True},
        {"clamp": 7, "ignores_sort": True},
        {"duplicates": 1.0},
        {"wrong_types": 0.2},
        {"no_date": True},
        {"lacks": ["demographics"]},
    ],
    ids=str,
)
def test_every_pupil_comes_from_a_city_that(city: City, client: OneRoster, manners: dict[str, Any]) -> None:
    city.act(**manners)
    found = gathered(client)
    assert users_of(found) == set(city.api.book.rows["users"])
    assert all(one.whole for one in found.collections.values())


def test_a_city_that_edits_while_it_is_paged_loses_nobody_who_stands_still(city: City, client: OneRoster) -> None:
    city.act(clamp=7, edits=1)
    before = set(city.api.book.rows["users"])
    found = gathered(client)
    assert city.api.edited > 10 and before & set(city.api.book.rows["users"]) <= users_of(found)


def test_a_page_that_repeats_for_ever_ends_the_pull(city: City, client: OneRoster) -> None:
    city.act(clamp=7, repeats=True)
    with pytest.raises(WalkFailed):
        gathered(client)


@pytest.mark.parametrize(("off_s", "right"), [(0, True), (-86_400, False)])
def test_the_date_header_is_the_citys_word_on_time(city: City, client: OneRoster, off_s: int, right: bool) -> None:
    city.act(date_off_s=off_s)
    page = client.ask(Ask("orgs"))
    assert isinstance(page, Page) and page.server_ms is not None
    assert (abs(page.server_ms - time.time() * 1000) < 10_000) is right


@pytest.mark.parametrize(
    ("manners", "answer"),
    [
        ({"too_many": 1.0, "retry_after_s": 7}, Busy(7_000)),
        ({"unavailable": 1.0}, Unreachable("status 503")),
        ({"redirects": True}, Refused(302)),
        ({"truncated": 1.0}, Unreachable("an answer without rows of users: DecodeError")),
        ({"lacks": ["users"]}, Refused(404)),
    ],
    ids=str,
)
def test_an_answer_that_is_none_is_told_apart(
    city: City, client: OneRoster, manners: dict[str, Any], answer: Answer
) -> None:
    city.act(**manners)
    assert client.ask(Ask("users")) == answer


def test_a_retry_after_may_be_a_date(city: City, client: OneRoster) -> None:
    city.act(too_many=1.0, retry_after_s=100, retry_as_date=True)
    answer = client.ask(Ask("users"))
    assert isinstance(answer, Busy) and 80_000 < answer.after_ms <= 100_000


def test_a_city_that_is_slow_is_no_answer_in_bounded_time(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "READ_S", 0.2)
    slow = OneRoster(city.url)
    city.act(slow_ms=1_500)
    began_s = time.monotonic()
    answer = slow.ask(Ask("users"))
    slow.close()
    assert isinstance(answer, Unreachable) and "Timeout" in answer.reason and time.monotonic() - began_s < within(1.4)


def test_an_answer_without_end_is_no_answer(city: City, client: OneRoster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub.city.oneroster, "ANSWER_BYTES_MAX", 5_000)
    answer = client.ask(Ask("users"))
    assert isinstance(answer, Unreachable) and answer.reason.startswith("TooMuch")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://[::1", "http://no.such.host.invalid/"])
def test_nobody_there_is_unreachable(url: str) -> None:
    client = OneRoster(url)
    assert isinstance(client.ask(Ask("users")), Unreachable)
    client.close()


def test_a_token_is_fetched_kept_and_fetched_again_once(tmp_path: Path) -> None:
    city = City(tmp_path / "city", CLIENTS)
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n", encoding="utf-8")
    try:
        client = OneRoster(city.url, f"{city.root}/oauth/token", "hub", secret)
        assert users_of(gathered(client)) == set(city.api.book.rows["users"])
        before = client._login._token
        client._login._token = "ran out"
        assert isinstance(client.ask(Ask("users")), Page) and client._login._token not in (before, "ran out")
        client.close()
        secret.write_text("wrong", encoding="utf-8")
        client = OneRoster(city.url, f"{city.root}/oauth/token", "hub", secret)
        assert client.ask(Ask("users")) == Unreachable("OSError: the token service answered 401")
        client.close()
        client = OneRoster(city.url)
        assert client.ask(Ask("users")) == Refused(401)
        client.close()
    finally:
        city.end()


# --- the puller -------------------------------------------------------------------------------------------------------


class Hub:
    """A hub's store with a puller, turned by hand; opened again it is the hub after a restart."""

    def __init__(self, folder: Path, city: City) -> None:
        self.room = HubRoom(folder, city=False)
        self.releases = 0
        store = self.room.store
        self.puller = Puller(
            SCHOOL, store.ledger, store.sync, store.mirror, OneRoster(city.url), store.clock, Random(1), self._told
        )

    def _told(self) -> None:
        self.releases += 1

    def pull(self, **asked: Any) -> dict[str, Any]:
        """A pull as a person asks for it, carried out on a thread as in a hub."""
        thread = threading.Thread(target=self._until_asked)
        thread.start()
        try:
            return self.puller.pull_now(Asked(**asked))
        finally:
            thread.join()

    def _until_asked(self) -> None:
        until(lambda: self.puller._orders, "somebody asks")
        self.puller.turn()

    def pupils(self) -> dict[str, tuple[str, str]]:
        return {
            one.city_id: (one.name, one.school_class)
            for one in self.room.store.people.all()
            if one.city_id is not None and one.state == "enrolled"
        }

    def alarms(self) -> list[str]:
        run = self.room.store.database.connection.execute
        return [code for (code,) in run("SELECT code FROM alarms WHERE device = 'city'")]

    def close(self) -> None:
        self.puller.end()
        self.room.close()


@pytest.fixture
def school(tmp_path: Path, city: City) -> Iterator[Callable[[], Hub]]:
    opened: list[Hub] = []

    def again() -> Hub:
        if opened:
            opened.pop().close()
        opened.append(Hub(tmp_path / "hub", city))
        return opened[-1]

    yield again
    while opened:
        opened.pop().close()


def test_a_hub_pulls_everything_once_and_what_changed_after_a_restart(
    school: Callable[[], Hub], city: City, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    # At any hour of the real clock: no nightly pull lies within the hour that goes by below.
    monkeypatch.setattr("hub.rostersync.due.night_of", lambda now_ms, _: now_ms - 86_400_000)
    hub = school()
    assert hub.puller.turn() == 0 and hub.pupils() == city.api.book.pupils() and hub.releases == 1
    assert hub.puller.turn() > 10_000, "the next pull is due in a quarter of an hour"
    hub = school()
    state = hub.room.store.sync.state()
    with hub.room.store.database.transaction():
        hub.room.store.sync.remember(_older(state))
    city.api.book.admit("6A1", ("Nguyễn", "Thị", "Canary"))
    leaves, moved = sorted(city.api.book.pupils())[:2]
    city.api.book.leave(leaves)
    city.api.book.move(moved, "9A9")
    assert hub.puller.turn() == 0 and hub.pupils() == city.api.book.pupils() and hub.releases == 1
    assert hub.room.store.sync.state().delta_ms is not None, "it was a delta"
    (one,) = [one for one in hub.room.store.mirror.known() if one.city_id == moved]
    assert [piece.school_class for piece in one.enrolments][-1] == "9A9" and len(one.enrolments) == 2
    told = caplog.text + str(hub.puller.trouble)
    assert "delta pull of the roster" in told
    assert "Canary" not in told and "HS" not in told, "no name and no code is in a log"


def _older(state: Any) -> Any:
    """The state as if an hour had gone by."""
    return replace(state, full_ms=state.full_ms - 3_600_000)


def test_the_guard_holds_back_alarms_and_lets_a_person_decide(school: Callable[[], Hub], city: City) -> None:
    hub = school()
    hub.pull()
    before = hub.pupils()
    city.act(empty=["users"])
    report = hub.pull()
    assert report["guard"] == {"reason": "empty", "gone": 60, "enrolled": 60} and report["release"] is None
    assert hub.pupils() == before and hub.alarms() == ["roster-guarded"]
    assert str(hub.puller.trouble).startswith("roster-guarded: 60 of 60")
    city.act()
    hub.puller._pull("delta", Asked())
    assert str(hub.puller.trouble).startswith("roster-guarded"), "a delta says nothing of it"
    assert hub.pull()["guard"] is None and hub.puller.trouble is None
    for user in sorted(before)[:10]:
        city.api.book.leave(user)
    assert hub.pull()["left"] == 10 and hub.pupils() == before
    report = hub.pull(allow_gone=10)
    assert report["left"] == 10 and report["guard"] is None and hub.pupils() == city.api.book.pupils()
    with pytest.raises(NotPulled, match="no number"):
        pulled(hub.puller, {"allow_gone": "-1"})


def test_who_is_never_reported_gone_is_gone_after_two_full_pulls(school: Callable[[], Hub], city: City) -> None:
    city.anew(forgets=True)
    hub = school()
    hub.pull()
    city.api.book.leave(sorted(city.api.book.pupils())[0])
    assert hub.pull()["missing"] == 1 and len(hub.pupils()) == 60
    report = hub.room.store.sync.report()
    assert report is not None and report["missing"] == 1, "kept for pages"
    hub = school()
    report = hub.pull()
    assert report["left"] == 1 and hub.pupils() == city.api.book.pupils()


@pytest.mark.parametrize(
    ("manners", "code", "alarms"),
    [
        ({"unavailable": 1.0}, "roster-unreachable", []),
        ({"truncated": 1.0}, "roster-unreachable", []),
        ({"too_many": 1.0, "retry_after_s": 3600}, "roster-unreachable", []),
        ({"redirects": True}, "roster-misrouted", ["roster-misrouted"]),
        ({"repeats": True, "clamp": 7}, "roster-walk-failed", []),
    ],
    ids=str,
)
def test_a_city_that_can_not_be_pulled_leaves_all_as_it_is(
    school: Callable[[], Hub], city: City, manners: dict[str, Any], code: str, alarms: list[str]
) -> None:
    hub = school()
    hub.pull()
    before = hub.pupils()
    city.act(**manners)
    hub.puller._stopping.wait = lambda timeout=None: False  # type: ignore[method-assign]  # Its waits take no time here.
    with pytest.raises((PullFailed, WalkFailed)) as caught:
        hub.pull()
    assert caught.value.code == code and str(hub.puller.trouble).startswith(code)
    assert hub.pupils() == before and hub.alarms() == alarms
    assert hub.puller.turn() > 20_000, "the city is left alone for a while"


def test_the_command_asks_a_running_hub(tmp_path: Path, city: City) -> None:
    hub = HubProcess(tmp_path)
    config = hub.config.read_text(encoding="utf-8")
    hub.config.write_text(
        config.replace('kind = "none"', f'kind = "none"\nroster_url = "{city.url}"'), encoding="utf-8"
    )
    try:
        with pytest.raises(NotPulled):
            carry_out(load_hub_config(hub.config), "roster-pull", {})
        hub.start()
        until(lambda: hub.status()["roster"], "the first pull made a release")
        told = hub.ask("roster", "pull", "--json")
        report = json.loads(told.stdout)
        assert (report["same"], report["new"], report["guard"], report["year"]) == (60, 0, None, None), told.stderr
        assert "như cũ" in carry_out(load_hub_config(hub.config), "roster-pull", {})
        with pytest.raises(HubRefused, match="y-1") as caught:
            carry_out(load_hub_config(hub.config), "roster-pull", {"begin_year": "y-1"})
        assert caught.value.code == "roster-year-unknown"
        assert hub.stop()[0] == 0
    finally:
        hub.end()


def test_a_hubs_answers_wait_for_no_acknowledgement() -> None:
    listener = _listening(("127.0.0.1", 0))
    with listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        _set_nodelay(accepted)
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "asyncio knows it for TCP"


def test_a_hub_that_ends_keeps_nobody_waiting(school: Callable[[], Hub]) -> None:
    hub = school()
    thread = threading.Thread(target=hub.puller.run)
    hub.puller.stop()
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(NotPulled):
        hub.puller.pull_now(Asked(), within_s=0.05)
