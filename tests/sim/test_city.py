"""The reference city by its own contract: a real process, an answer for each event, nothing lost by kill -9."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import secrets
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.audit import range_digest
from protocol.envelope import digest_bytes
from sim.parts import audit
from tests.hub.handmade import Gateway, Run
from tests.hub.running import until

BATCH = "application/cloudevents-batch+json"


class City:
    """`k12edge city` on a folder; started again it has the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "city"
        self.data.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self, *more: str) -> City:
        log = self.folder / "city.log"
        with log.open("wb") as output:
            words = ["city", "--listen", "127.0.0.1:0", "--data", str(self.data), *more]
            self.process = subprocess.Popen([sys.executable, "-m", "k12edge", *words], stdout=output, stderr=output)
        found = until(lambda: re.search(r"^listening (http\S+)$", log.read_text(encoding="utf-8"), re.M), "it listens")
        self.url = found[1]
        until(lambda: self.call("/healthz")[0] == 200, "it answers")
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def call(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{self.url}{path}", body, named), timeout=20) as answer:
                status, kind, text = answer.status, answer.headers["content-type"], answer.read()
        except urllib.error.HTTPError as problem:
            status, kind, text = problem.code, problem.headers["content-type"], problem.read()
        except (OSError, http.client.HTTPException):
            # Nobody there, or killed in the middle of its answer.
            return 0, None
        if status >= 400:
            assert kind == "application/problem+json", (status, kind)
            told = json.loads(text)
            assert told["status"] == status and told["type"].startswith("urn:k12edge:problem:") and told["title"]
            return status, told
        return status, json.loads(text) if "json" in kind else text.decode("utf-8")

    def push(self, raws: list[bytes], *, packed: bool = True, **headers: str) -> list[str]:
        body = b"[" + b",".join(raws) + b"]"
        if packed:
            body, headers = gzip.compress(body), {"content_encoding": "gzip", **headers}
        status, answer = self.call("/k12edge/v1/events", body, content_type=BATCH, **headers)
        assert status == 200, answer
        return [
            result["status"] + (f" {result['problem']['type'].rpartition(':')[2]}" if "problem" in result else "")
            for result in answer["results"]
        ]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    made = City(tmp_path_factory.mktemp("city")).start()
    yield made
    made.kill()


def test_each_event_has_its_own_answer(city: City) -> None:
    run = Gateway().run(3)
    other = run.lines[2].replace(b'"cong-a"', b'"cong-b"')
    assert city.push(run.lines[:3]) == ["stored"] * 3
    assert city.push([run.lines[1], run.lines[3], run.lines[3], other, b"{}", b"7"], packed=False) == [
        "duplicate",
        "stored",
        "duplicate",
        "rejected conflict",
        "rejected invalid-event",
        "rejected invalid-event",
    ]
    held = [raw for name, raw in audit(f"{city.url}/k12edge/v1/events") if name.startswith(run.journal)]
    assert held == run.lines, "the bytes as they came, in the order of commits"


def test_one_event_is_taken_in_its_own_form(city: City) -> None:
    run = Gateway().run(0)
    status, answer = city.call("/k12edge/v1/events", run.lines[0], content_type="application/cloudevents+json")
    assert status == 200 and answer["results"] == [{"source": run.source, "id": f"{run.journal}.1", "status": "stored"}]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"[]", {"content_type": "application/json"}, 415),
        (b"[]", {"content_type": BATCH, "content_encoding": "br"}, 415),
        (b"not json", {"content_type": BATCH}, 400),
        (b"[" * 100_000, {"content_type": BATCH}, 400),
        (b"not gzip", {"content_type": BATCH, "content_encoding": "gzip"}, 400),
        (gzip.compress(b"[]")[:-4], {"content_type": BATCH, "content_encoding": "gzip"}, 400),
        (gzip.compress(b" " * 5_000_000), {"content_type": BATCH, "content_encoding": "gzip"}, 413),
        (b"[" + b"1," * 1_000 + b"1]", {"content_type": BATCH}, 413),
    ],
    # Names of their own: a packed body holds the second it was packed in.
    ids=["plain", "br", "no json", "deep", "no gzip", "cut gzip", "bomb", "too many"],
)
def test_what_is_no_batch_is_a_problem_by_its_name(
    city: City, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert city.call("/k12edge/v1/events", body, **headers)[0] == status


def test_digests_of_ranges(city: City) -> None:
    run = Gateway().run(8)
    city.push([*run.lines[:3], *run.lines[5:]])
    for first, last, held in ((1, 3, run.lines[:3]), (2, 8, [*run.lines[1:3], *run.lines[5:8]]), (20, 30, [])):
        told = range_digest(digest_bytes(raw) for raw in held)
        path = f"/k12edge/v1/events/digest?journal={run.journal}&from={first}&to={last}"
        assert city.call(path) == (200, {"count": told.count, "sha256": told.sha256})
    for words in ("journal=x&from=1&to=2", "journal=0123456789abcdef&from=0&to=2", "journal=0123456789abcdef&from=1"):
        assert city.call(f"/k12edge/v1/events/digest?{words}")[0] == 422
    huge = "journal=0123456789abcdef&from=1&to=99999999999999999999"
    assert city.call(f"/k12edge/v1/events/digest?{huge}")[0] == 422
    assert city.call("/k12edge/v1/events/digest?journal=0123456789abcdef&from=1&to=9999999")[0] == 400


def test_the_audit_is_gapless_while_others_write(city: City) -> None:
    runs = [Gateway(f"cong-{number}").run(60) for number in range(4)]
    start = len(audit(f"{city.url}/k12edge/v1/events"))

    def write(run: Run) -> None:
        for at in range(0, len(run.lines), 5):
            city.push(run.lines[at : at + 5])

    writers = [threading.Thread(target=write, args=(run,)) for run in runs]
    for writer in writers:
        writer.start()
    seen: list[str] = []
    after = ""
    while len(seen) < start + 4 * 61:
        status, page = city.call(f"/k12edge/v1/events?limit=37&after={after}")
        assert status == 200
        seen += [item["event"]["id"] for item in page["items"]]
        if page["next"] is not None:
            after = page["next"]
        elif page["items"]:
            # The end for now: what comes later is found from the same place again.
            del seen[-len(page["items"]) :]
            if not any(writer.is_alive() for writer in writers):
                seen += [
                    item["event"]["id"]
                    for item in city.call(f"/k12edge/v1/events?after={after}&limit=1000")[1]["items"]
                ]
                break
    for writer in writers:
        writer.join()
    assert len(seen) == len(set(seen)) == start + 4 * 61
    assert seen == [name for name, _ in audit(f"{city.url}/k12edge/v1/events")]
    for words in ("after=x", "after=-1", "after=9999999999999999999"):
        assert city.call(f"/k12edge/v1/events?{words}")[0] == 400


def test_the_effective_time_follows_anchors_in_any_order(city: City) -> None:
    boot = secrets.token_hex(4)
    run = Run("urn:k12edge:dev:79000701-gio", boot=boot)
    run.open(err_ms=None).taps(1, err_ms=None)
    anchor = {"boot": boot, "mono": 1000, "wall": "2026-11-23T07:00:00.000+07:00", "err": 20, "source": "hub"}
    run.add("boot.anchored", anchor, err_ms=None)

    def effective() -> Any:
        pages = city.call("/k12edge/v1/events?limit=1000")[1]
        return {item["event"]["id"]: item["effective"] for item in pages["items"]}[f"{run.journal}.2"]

    city.push(run.lines[1:2])
    assert effective()["quality"] == "estimated"
    city.push(run.lines[2:3])
    assert effective() == {
        "best": "2026-11-23T07:00:01.000+07:00",
        "not_before": "2026-11-23T07:00:00.979+07:00",
        "not_after": "2026-11-23T07:00:01.021+07:00",
        "quality": "anchored",
    }


def test_a_time_beyond_all_calendars_breaks_no_page(city: City) -> None:
    run = Run("urn:k12edge:dev:79000701-xa", boot=secrets.token_hex(4)).open()
    run.add("device.alarm", {"code": "x"}, err_ms=None)
    far = run.lines[1].replace(b'"time":"2026', b'"time":"9999')
    strange = run.lines[0].replace(b'"mono":1000', b'"mono":%d' % 10**30)
    assert city.push([far, strange]) == ["stored", "stored"]
    assert len(audit(f"{city.url}/k12edge/v1/events")) >= 2


def test_kill_9_while_it_writes_loses_nothing_that_it_answered_for(tmp_path: Path) -> None:
    city = City(tmp_path).start()
    run = Gateway().run(400)
    answered: set[int] = set()
    try:
        for _ in range(3):
            gone = threading.Event()

            def write(gone: threading.Event = gone) -> None:
                while not gone.is_set() and len(answered) < 300:
                    at = max(answered, default=0)
                    body = b"[" + b",".join(run.lines[at : at + 2]) + b"]"
                    status, answer = city.call("/k12edge/v1/events", body, content_type=BATCH)
                    if status == 200:
                        assert {result["status"] for result in answer["results"]} <= {"stored", "duplicate"}
                        answered.update((at + 1, at + 2))

            writer = threading.Thread(target=write)
            before = len(answered)
            writer.start()
            until(lambda before=before: len(answered) > before + 20, "it writes")
            city.kill()
            gone.set()
            writer.join()
            city.start()
            held = audit(f"{city.url}/k12edge/v1/events")
            assert len(held) == len({name for name, _ in held})
            assert {f"{run.journal}.{number}" for number in answered} <= {name for name, _ in held}
    finally:
        city.kill()


def test_pupils_it_does_not_know_yet_are_retryable(tmp_path: Path) -> None:
    city = City(tmp_path)
    (city.data / "students.txt").write_text("st-1\n", encoding="utf-8")
    city.start()
    try:
        run = Gateway().run(2)
        raw = run.lines[2]
        assert city.push(run.lines) == ["stored", "stored", "rejected unknown-student"]
        answer = city.call("/k12edge/v1/events", b"[" + raw + b"]", content_type=BATCH)[1]
        assert answer["results"][0]["problem"]["retryable"] is True
        (city.data / "students.txt").write_text("st-1 st-2\n", encoding="utf-8")
        assert city.push([raw]) == ["stored"]
    finally:
        city.kill()


def test_with_clients_only_a_token_opens_it_and_it_ends_cleanly(tmp_path: Path) -> None:
    city = City(tmp_path)
    (city.data / "clients.json").write_text('{"tram": "s3cret"}', encoding="utf-8")
    city.start()
    run = Gateway().run(0)
    body = b"[" + run.lines[0] + b"]"
    assert city.call("/k12edge/v1/events", body, content_type=BATCH)[0] == 401
    assert city.call("/k12edge/v1/events")[0] == 401
    form = "grant_type=client_credentials&client_id=tram&client_secret="
    wrong = urllib.request.Request(f"{city.url}/oauth/token", f"{form}guess".encode())
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(wrong)
    assert refused.value.code == 401
    refused.value.close()
    token = city.call("/oauth/token", f"{form}s3cret".encode())[1]["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    assert city.push([run.lines[0]], **bearer) == ["stored"]
    assert city.call("/k12edge/v1/events", **bearer)[1]["items"][0]["event"]["id"] == f"{run.journal}.1"
    assert city.call("/k12edge/v1/events", authorization="Bearer x")[0] == 401
    second = subprocess.run(
        [sys.executable, "-m", "k12edge", "city", "--listen", "127.0.0.1:0", "--data", str(city.data)],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert second.returncode == 3 and "already-running" in second.stderr
    assert city.process is not None
    city.process.send_signal(signal.SIGTERM)
    assert city.process.wait(3) == 0


def test_its_page_shows_what_it_holds(city: City) -> None:
    run = Gateway("trang").run(1)
    city.push(run.lines)
    status, page = city.call("/")
    assert status == 200 and run.journal in page
