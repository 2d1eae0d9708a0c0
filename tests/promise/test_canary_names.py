"""Canary names: a name, class and code that nobody could miss are used everywhere, and looked for where none may be.

Real city, hub, broker and gateways; lists, cards, roll call, leave, searches, wrong input, backups, messages to a file.
Then every log, the broker's store, the gates' disks, topics, links and the city's files are searched in every spelling.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx2 as httpx
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.readers.simulated import hold
from hub.attendance.schoolday import VIETNAM
from hub.attendance.timetable import WEEKDAYS, Bell, Bells, Timetable, Week
from hub.config import load_hub_config
from hub.days.classbook import today_at
from hub.parts import Store
from hub.web.registry import PAGES
from protocol.cards import parse_card
from sim.road import Road
from tests.hub.lists.school import book
from tests.hub.running import until

NAME, GIVEN = "Zzcanary Ánh Nguyệt", "Nguyệt"
CLASS, CODE = "7Zzcanary", "HSCANARY77"
OTHER, BAD = "Zzcanary Thứ Hai", "<Zzcanary> Nguyệt"
CARD, NEW_CARD, STRANGE = "04CA9A9177C0DE", "04CA9A9277C0DE", "04CA9A9377C0DE"
HEADER = ["Mã lớp", "Mã học sinh", "Họ tên", "Ngày sinh"]
ALL_DAY = Bell("00:00", "00:00", "23:58", "23:58", "23:59")


# --- looking ----------------------------------------------------------------------------------------------------------


def spellings() -> set[bytes]:
    """Every way in which one of them may stand in a file, in small letters."""
    words = {NAME, GIVEN, "Ánh Nguyệt", OTHER, CLASS, CODE, "zzcanary", CARD, NEW_CARD, STRANGE}
    found: set[bytes] = set()
    for word in words:
        for form in ("NFC", "NFD"):
            text = unicodedata.normalize(form, word)
            found |= {text.encode(), quote(text).encode(), quote(text, safe="").replace("%20", "+").encode()}
            found |= {json.dumps(text)[1:-1].encode(), text.encode("utf-16-le"), text.encode().hex().encode()}
        plain = "".join(one for one in unicodedata.normalize("NFD", word) if not unicodedata.combining(one))
        found.add(plain.encode())
    return {one.lower() for one in found if len(one) > 5}


def in_base64() -> set[bytes]:
    """The same within base64 of a text, wherever in it they begin; of these capitals count."""
    found = set()
    for word in (NAME, GIVEN, CODE, CLASS, "Zzcanary", unicodedata.normalize("NFD", GIVEN)):
        for before in range(3):
            text = base64.b64encode(b"x" * before + word.encode() + b"xx").rstrip(b"=")
            # What is around it shares a character at either end.
            middle = text[(0, 2, 3)[before] : -4]
            found |= {middle, middle.replace(b"+", b"-").replace(b"/", b"_")}
    return {one for one in found if len(one) >= 6}


SPELLINGS, IN_BASE64 = spellings(), in_base64()


def canaries_in(octets: bytes) -> set[bytes]:
    """What of a name stands in these bytes, also where they are packed."""
    found: set[bytes] = set()
    for part in (octets, *_unpacked(octets)):
        small = part.lower()
        found |= {one for one in SPELLINGS if one in small} | {one for one in IN_BASE64 if one in part}
    return found


def _unpacked(octets: bytes) -> Iterator[bytes]:
    for begin in re.finditer(rb"\x1f\x8b\x08", octets):
        try:
            yield zlib.decompressobj(wbits=31).decompress(octets[begin.start() :], 1 << 24)
        except zlib.error:
            continue


def files_with_names(folder: Path) -> dict[str, set[bytes]]:
    """The files below a folder in which a name stands."""
    looked = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert looked, folder
    return {name: found for name, octets in looked.items() if (found := canaries_in(octets))}


# --- the morning ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Morning:
    """What was done, and what was seen from outside."""

    road: Road
    folder: Path
    readers: Mapping[str, str]
    clients: dict[str, httpx.Client] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    naming: set[str] = field(default_factory=set)
    topics: set[str] = field(default_factory=set)
    releases: dict[str, bytes] = field(default_factory=dict)
    told: list[Any] = field(default_factory=list)

    def token(self, role: str) -> httpx.Client:
        secret = self.road.command("token", "add", "--role", role, "--name", f"{role}.program").split()[-1]
        return httpx.Client(base_url=self.road.hub_url, timeout=20, headers={"authorization": f"Bearer {secret}"})


def _prepared(road: Road, folder: Path) -> dict[str, str]:
    """A list taken while no hub runs; a school that is open all day, consent, users; the users' sessions."""
    listed = folder / "C1-HocSinh.xlsx"
    rows = [[CLASS, CODE, unicodedata.normalize("NFD", NAME), "01/02/2018"]]
    listed.write_bytes(book(("HS", [HEADER, *rows])))
    road.command("roster", "check", str(listed))
    road.command("roster", "apply", str(listed))
    store = Store(load_hub_config(road.hub_config))
    now_ms = store.clock.now_ms()
    today = today_at(now_ms)
    document = Timetable(
        name="cả ngày",
        first=today.replace(year=today.year - 1, day=1),
        last=today.replace(year=today.year + 1, day=1),
        bells=(Bells(am=ALL_DAY),),
        weeks=(Week(days={weekday: ("am",) for weekday in WEEKDAYS}),),
    )
    found = {}
    with closing(store.database):
        [pupil] = store.people.all()
        with store.database.transaction():
            store.timetables.put(today, document, today, now_ms, "thay-minh")
            store.messages.set_consent(pupil.key, True, "van-phong", now_ms)
        for role in ("principal", "it", "guard"):
            store.users.add(f"{role}.user", role, role, None, None, now_ms)  # type: ignore[arg-type]
            secret = store.sessions.begin(f"{role}.user", "tests", now_ms)
            assert secret is not None
            found[role] = secret
    return found


def _listen(morning: Morning) -> paho.Client:
    """Everything that goes over the broker."""
    host, _, port = morning.road.broker_url.removeprefix("mqtt://").rpartition(":")
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)

    def heard(_client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        morning.topics.add(message.topic)
        if "/roster/" in message.topic:
            morning.releases[message.topic.rpartition("/")[2]] = message.payload

    client.on_message = heard
    client.on_connect = lambda one, *_: one.subscribe("#", 1)
    client.connect(host, int(port))
    client.loop_start()
    return client


def _csrf(client: httpx.Client) -> str:
    return client.get("/me").text.split('data-csrf="', 1)[1].split('"', 1)[0]


def _office(morning: Morning) -> str:
    """Cards, roll call, leave, admission, and wrong words of each kind; the pupil's key."""
    api = morning.token("principal")
    [pupil] = [one for one in api.get("/v1/roster").json()["students"] if one["name"] == NAME]
    key, today = pupil["student"], datetime.now(VIETNAM).date().isoformat()
    half = {"day": today, "half": "am"}
    taken = [
        api.post("/v1/cards", json={"change": "issued", "student": key, "card": f"a:{CARD}"}),
        api.post("/v1/rollcall", json={"class": CLASS, **half, "states": {key: "present"}}),
        api.post("/v1/leave", json={"student": key, "first": half, "last": half}),
        api.post("/v1/admissions", json={"student": key}),
        api.get("/v1/marks", params={"class": CLASS}),
    ]
    assert [one.status_code for one in taken] == [200] * len(taken), [one.text for one in taken]
    wrong = [
        api.post("/v1/rollcall", json={"class": CLASS, **half, "states": {NAME: "present"}}),
        api.post("/v1/rollcall", json={"class": NAME, **half, "states": {key: "present"}}),
        api.post("/v1/rollcall", content=b'{"class": "Zzcanary'),
        api.post("/v1/leave", json={"student": NAME, "first": half, "last": half}),
        api.post("/v1/cards", json={"change": "lost", "student": key, "card": NAME}),
        api.post("/v1/cards", json={"change": "issued", "student": CODE, "card": f"a:{CARD}"}),
        api.get("/v1/marks", params={"day": NAME}),
        api.get(f"/v1/records/{quote(GIVEN)}/trail"),
        api.get(f"/{quote(NAME)}"),
        api.get("/v1/marks", headers={"authorization": f"Bearer {quote(NAME)}"}),
    ]
    assert all(400 <= one.status_code < 500 for one in wrong), [one.status_code for one in wrong]
    morning.clients["api"] = api
    return str(key)


def _pages(morning: Morning, key: str, sessions: Mapping[str, str]) -> None:
    """Every page as principal, IT and guard; searches typed, lists refused and taken, logins that fail."""
    for role, secret in sessions.items():
        headers = {"accept": "text/html", "origin": morning.road.hub_url}
        client = httpx.Client(base_url=morning.road.hub_url, timeout=20, headers=headers, cookies={"k12": secret})
        morning.clients[role] = client
        fields = {"csrf": _csrf(client)}
        for words in (NAME, "zzcanary anh", CODE, GIVEN):
            client.post("/guard/find", data={**fields, "q": words})
            client.post("/cards/find", data={**fields, "q": words})
        for rows in ([[CLASS, "HS2", OTHER, "03/04/2018"]], [[CLASS, CODE, BAD, "33/33/2018"], [CLASS, CODE, NAME, 5]]):
            files = {"file": (f"{NAME}.xlsx", book(("HS", [HEADER, *rows])))}
            preview = client.post("/roster/preview", data={**fields, "part": "1"}, files=files)
            if taken := re.search(r'name="secret" value="([^"]*)"', preview.text):
                client.post("/roster/apply", data={**fields, "secret": taken[1], "part": "1"})
        client.post("/login", data={"name": NAME, "password": CODE})
        asked = {page.path.replace("{key}", key) for page in PAGES if "{secret}" not in page.path}
        asked |= {f"/cards/pupil?pupil={key}", f"/class?class={CLASS}", f"/roll?class={CLASS}", "/onsite"}
        waiting, seen = sorted(asked), set(asked)
        while waiting:
            path = waiting.pop()
            page = client.get(path)
            if NAME in page.text:
                morning.naming.add(path)
            for link in re.findall(r'(?:href|src|action|data-[a-z]+)="(/[^"]*)"', page.text):
                morning.links.add(link)
                plain = link.replace("&amp;", "&").partition("#")[0]
                if len(seen) < 60 and plain not in seen and not re.search(r"/static/|/v1/|logout|\.crt|stream", plain):
                    seen.add(plain)
                    waiting.append(plain)


def _taps(morning: Morning, key: str) -> None:
    api = morning.clients["api"]

    def known() -> bool:
        return bool(api.get("/v1/roster").json()["release"]["known"] == len(morning.road.gateways))

    until(known, "every gateway has the release", 40)
    for gateway in ("cong", "can-tin"):
        before = morning.road.answered(gateway)
        hold(morning.readers[gateway], parse_card(f"a:{CARD}"), 30)
        until(lambda name=gateway, was=before: morning.road.answered(name) > was, f"{gateway} answers")  # type: ignore[misc]
    for change, card in (("lost", CARD), ("issued", NEW_CARD)):
        answer = api.post("/v1/cards", json={"change": change, "student": key, "card": f"a:{card}"})
        assert answer.status_code == 200, answer.text
    before = morning.road.answered("cong")
    hold(morning.readers["cong"], parse_card(f"a:{STRANGE}"), 30)
    until(lambda: morning.road.answered("cong") > before, "a card of nobody is answered")
    until(known, "every gateway knows of the lost card", 40)


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Morning]:
    while datetime.now(VIETNAM).strftime("%H:%M") >= "23:55":
        # The school's day ends; what is tapped now is told to nobody.
        time.sleep(1)
    folder, outside = tmp_path_factory.mktemp("road"), tmp_path_factory.mktemp("outside")
    road, run = Road(folder), secrets.token_hex(4)
    readers = {name: f"{name}-{run}" for name in ("cong", "can-tin")}
    road.add_gateway("cong", {"cong-a": ("gate", f"simulated:{readers['cong']}")})
    road.add_gateway("can-tin", {"quay": ("canteen", f"simulated:{readers['can-tin']}")})
    with road.hub_config.open("a", encoding="utf-8") as file:
        file.write(f'\n[messages]\nsink = "file"\nfile = "{outside / "messages.jsonl"}"\n')
    made = Morning(road, folder, readers)
    try:
        sessions = _prepared(road, outside)
        for part in (road.city, road.hub):
            part.start()
        road.accept()
        listening = _listen(made)
        for part in road.gateways.values():
            part.start()
        key = _office(made)
        _taps(made, key)
        _pages(made, key, sessions)
        road.command("backup", str(outside))
        road.command("recompute", "--day", today_at(time.time_ns() // 1_000_000).isoformat(), "--json")
        until(road.drained, "all is at the city", 30)
        until((outside / "messages.jsonl").exists, "a message was written")
        listening.loop_stop()
        made.told = [json.loads(line) for line in (outside / "messages.jsonl").read_text("utf-8").splitlines()]
        for client in made.clients.values():
            client.close()
        assert set(road.stop().values()) == {0}
        yield made
    finally:
        road.stop()


def test_the_search_finds_a_name_in_every_spelling() -> None:
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, f"Em {GIVEN} ở đây")
        for octets in (
            text.encode(),
            quote(text).encode(),
            json.dumps(text).encode(),
            zlib.compress(text.encode(), wbits=31),
        ):
            assert canaries_in(octets), (form, octets)
        for before in range(3):
            assert canaries_in(base64.b64encode(b"x" * before + text.encode())), (form, before)
    assert canaries_in(b"em NGUYET") and canaries_in(b"hscanary77") and not canaries_in("Nguyễn Văn An".encode())


def test_names_were_used(morning: Morning) -> None:
    # Else nothing that follows says anything.
    assert files_with_names(morning.folder / "hub").keys() >= {"ledger.db"}
    assert [(one["kind"], one["given_name"]) for one in morning.told][:1] == [("arrived", GIVEN)]
    assert {"/onsite", f"/class?class={CLASS}", f"/roll?class={CLASS}", "/gate"} <= morning.naming, morning.naming
    assert len(morning.links) > 40 and len(morning.topics) > 6, (morning.links, morning.topics)


def test_no_log_names_a_pupil(morning: Morning) -> None:
    logs = {path.name: canaries_in(path.read_bytes()) for path in morning.folder.glob("*.log")}
    assert logs.keys() >= {"hub.log", "city.log", "cong.log", "can-tin.log"} and not any(logs.values()), logs


def test_no_gate_has_a_name_and_a_counter_only_in_its_release(morning: Morning) -> None:
    assert files_with_names(morning.folder / "cong") == {}
    assert set(files_with_names(morning.folder / "can-tin")) == {"roster-canteen.gz"}
    for name in morning.road.gateways:
        assert not canaries_in(morning.road.signals_of(name).read_bytes()), name


def test_the_broker_s_store_has_names_only_within_the_releases_that_have_them(morning: Morning) -> None:
    for path in (morning.folder / "hub" / "broker").rglob("*"):
        octets = path.read_bytes() if path.is_file() else b""
        plain = {one for one in SPELLINGS if one in octets.lower()} | {one for one in IN_BASE64 if one in octets}
        assert not plain, (path, plain)
        for part in _unpacked(octets):
            assert not canaries_in(part) or json.loads(part)["kind"] in ("canteen", "desk", "care"), path


def test_no_topic_names_a_pupil_and_no_release_of_a_gate_does(morning: Morning) -> None:
    assert not canaries_in("\n".join(morning.topics).encode())
    assert set(morning.releases) >= {"gate", "canteen"} and not canaries_in(morning.releases["gate"])


def test_the_city_has_keys_and_no_names(morning: Morning) -> None:
    found = files_with_names(morning.folder / "city")
    # The class stands in what a teacher said of it, as the contract has it; who it was is a key.
    assert {word for words in found.values() for word in words} <= {CLASS.lower().encode(), b"zzcanary"}, found


def test_no_address_that_pages_lead_to_names_a_pupil(morning: Morning) -> None:
    for link in morning.links:
        # A class may stand in an address, a pupil never.
        assert not canaries_in(unquote(link).replace(CLASS, "").encode()), link
