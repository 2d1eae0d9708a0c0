"""Files for the city: numbered, whole or not at all, never overwritten; "sent" is a person's word, no receipt."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Sequence
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hub.assembly import Assembly
from hub.city.files import LAYING, CityFiles, FilesRefused, Manifest, Piece
from hub.parts import Store
from hub.reports.monthsheet import Stamp, Standing
from hub.web.status import Status
from protocol.errors import ConfigError
from tests.hub.room import config_in

SPAN = (date(2026, 11, 1), date(2026, 11, 30))
STANDING = Standing(1_795_400_000_000, ("cong-b",), (("cong-c", "thay-minh"),))


def pieces(number: int, text: str = "x") -> tuple[Stamp, Sequence[Piece]]:
    stamp = Stamp(number, "hoa-mai", 1_795_430_000_000, "thay-minh", STANDING)
    made = [Piece("so-diem-danh.xlsx", f"{number} {text}".encode(), {"classes": 2}), Piece("hoc-ky.csv", b"P,K\r\n")]
    return stamp, made


def lay(files: CityFiles, text: str = "x", **words: Any) -> Manifest:
    return files.lay("month", SPAN, ("attendance-1",), lambda number: pieces(number, text), **words)


def whole(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_number_is_a_folder_with_its_files_and_a_manifest_that_names_them(tmp_path: Path) -> None:
    files = CityFiles(tmp_path / "to" / "city")
    manifest = lay(files)
    folder = tmp_path / "to" / "city" / "000001"
    assert (folder / "so-diem-danh.xlsx").read_bytes() == b"1 x"
    found = json.loads((folder / "manifest.json").read_bytes())
    assert found["files"][0] == {
        "name": "so-diem-danh.xlsx",
        "bytes": 3,
        "sha256": sha256(b"1 x").hexdigest(),
        "counts": {"classes": 2},
    }
    told = {name: found[name] for name in ("format", "number", "kind", "first", "last", "rules", "by", "waiting")}
    assert told == {
        "format": "k12edge.files.v1",
        "number": 1,
        "kind": "month",
        "first": "2026-11-01",
        "last": "2026-11-30",
        "rules": ["attendance-1"],
        "by": "thay-minh",
        "waiting": ["cong-b"],
    }
    assert found["made"].startswith("2026-11-2") and found["waived"] == [["cong-c", "thay-minh"]]
    assert files.manifest(1) == manifest and list(files.all()) == [manifest] and files.faults(1) == []
    assert stat.S_IMODE((folder / "hoc-ky.csv").stat().st_mode) & 0o007 == 0, "names are nobody else's business"


def test_nothing_is_ever_overwritten_and_numbers_grow(tmp_path: Path) -> None:
    files = CityFiles(tmp_path)
    lay(files)
    before = whole(tmp_path)
    assert lay(files, "y").number == 2 and lay(files, "z").number == 3
    assert {name: octets for name, octets in whole(tmp_path).items() if name in before} == before
    shutil.rmtree(tmp_path / "000003")
    assert lay(files, after=3).number == 4, "a number that the hub's records know comes never again"
    (tmp_path / "000009").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    assert lay(files).number == 10 and files.numbers() == [1, 2, 4, 9, 10]


def test_a_number_that_is_taken_meanwhile_is_left_and_the_next_one_laid(tmp_path: Path) -> None:
    files = CityFiles(tmp_path)
    asked: list[int] = []

    def make(number: int) -> tuple[Stamp, Sequence[Piece]]:
        asked.append(number)
        if len(asked) == 1:
            (tmp_path / "000001").mkdir()
            (tmp_path / "000001" / "mine").write_text("x")
        return pieces(number)

    assert files.lay("month", SPAN, (), make).number == 2 and asked == [1, 2]
    assert (tmp_path / "000001" / "mine").read_text() == "x" and not list(tmp_path.glob(f"{LAYING}*"))


def test_what_fails_leaves_nothing_behind_and_what_a_crash_left_is_swept(tmp_path: Path) -> None:
    files = CityFiles(tmp_path)
    (tmp_path / f"{LAYING}abc").mkdir()
    (tmp_path / f"{LAYING}abc" / "half").write_text("x")

    def fails(number: int) -> tuple[Stamp, Sequence[Piece]]:
        stamp, _ = pieces(number)
        return stamp, [Piece("a.csv", b"x"), Piece("b.csv", None)]  # type: ignore[arg-type]

    with pytest.raises(TypeError):
        files.lay("month", SPAN, (), fails)
    assert whole(tmp_path) == {} and files.numbers() == []
    assert lay(files).number == 1


def test_a_place_where_nothing_can_be_laid_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(FilesRefused, match="file") as refused:
        lay(CityFiles(tmp_path / "file"))
    assert refused.value.code == "city-files-refused" and "files_dir" in refused.value.hint


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda folder: (folder / "hoc-ky.csv").write_bytes(b"P,K\r\n0,0"), "hoc-ky.csv was changed"),
        (lambda folder: (folder / "hoc-ky.csv").unlink(), "hoc-ky.csv can't be read"),
        (lambda folder: (folder / "them.csv").write_bytes(b""), "them.csv was added"),
        (lambda folder: (folder / "manifest.json").write_bytes(b"{"), "can't be read"),
        (
            lambda folder: (folder / "manifest.json").write_bytes(
                (folder / "manifest.json").read_bytes().replace(b"hoc-ky.csv", b"../a")
            ),
            "can't be one of ours",
        ),
        (
            lambda folder: (folder / "manifest.json").write_bytes(
                (folder / "manifest.json").read_bytes().replace(b'"number": 1', b'"number": 2')
            ),
            "is of number 2",
        ),
    ],
)
def test_what_was_changed_since_is_not_called_sent(tmp_path: Path, harm: Any, told: str) -> None:
    files = CityFiles(tmp_path)
    lay(files)
    harm(tmp_path / "000001")
    with pytest.raises(FilesRefused, match=told):
        files.sent(1, "thay-minh", "phong GD", 5)


def test_sent_names_a_person_and_the_manifest_s_bytes(tmp_path: Path) -> None:
    files = CityFiles(tmp_path)
    lay(files)
    sent = files.sent(1, " thay-minh ", "phong GD", 5)
    digest = sha256((tmp_path / "000001" / "manifest.json").read_bytes()).hexdigest()
    assert sent.data() == {"number": 1, "manifest": digest, "by": "thay-minh", "to": "phong GD"} and sent.at_ms == 5
    for by, to in (("", "phong GD"), ("thay-minh", " ")):
        with pytest.raises(FilesRefused, match="must be named"):
            files.sent(1, by, to, 5)
    with pytest.raises(FilesRefused):
        files.sent(2, "thay-minh", "phong GD", 5)


@pytest.mark.parametrize(
    ("city", "answers"),
    [
        ({"kind": "files", "files_dir": "out"}, False),
        ({"kind": "none"}, False),
        ({"kind": "k12records", "url": "http://127.0.0.1:9"}, True),
    ],
)
def test_where_the_city_gets_files_no_gateway_may_let_go_of_a_record(
    tmp_path: Path, city: dict[str, str], answers: bool
) -> None:
    config = config_in(tmp_path, city=city)
    store = Store(config)
    assembly = Assembly(config, store, None, lambda: None)
    _, body = assembly.announcer.state("ready")
    # By this word gateways know that somebody answers for records, and only then they prune.
    assert json.loads(body).get("city", False) is answers is config.city.answers
    assert Status(store, assembly.fleet).whole()["city"]["backlog"] == (1 if answers else None)
    store.database.close()


@pytest.mark.parametrize(
    "city",
    [
        {"kind": "files"},
        {"kind": "none", "files_dir": "/x"},
        {"kind": "k12records", "url": "http://h", "files_dir": "/x"},
    ],
)
def test_kind_and_folder_go_together(tmp_path: Path, city: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="files_dir and kind"):
        config_in(tmp_path, city=city)
