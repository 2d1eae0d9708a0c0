"""The doctor, on this machine as it is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hub.config import load_hub_config
from hub.parts import Store
from hub.store.notes import BackedUp
from k12edge.doctor import _backups, _hub, _pins, file_system_of


def examine(path: Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-m", "k12edge", "doctor", "--config", str(path)], capture_output=True, text=True, timeout=30
    )
    return done.returncode, (done.stdout or done.stderr).splitlines()


def write(path: Path, data_dir: Path, reader: str, url: str) -> Path:
    path.write_text(
        f'[gateway]\nid = "cong"\nschool = "s1"\ndata_dir = "{data_dir}"\n[uplink]\nurl = "{url}"\n'
        f'[[station]]\nname = "cong-a"\nkind = "gate"\nreader = "{reader}"\n',
        encoding="utf-8",
    )
    return path


def looks(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("LOOK")]


def test_a_gateway_that_can_do_the_job(tmp_path: Path) -> None:
    queue = tmp_path / "queue.txt"
    queue.write_text("# nobody\n", encoding="ascii")
    with socket.create_server(("127.0.0.1", 0)) as broker:
        url = f"mqtt://127.0.0.1:{broker.getsockname()[1]}"
        code, lines = examine(write(tmp_path / "g.toml", tmp_path / "data", f"replay:{queue}", url))
    assert (code, looks(lines)) == (0, [])
    assert not (tmp_path / "data").exists(), "it changes nothing"


def test_a_byte_order_mark_is_no_mistake_and_an_empty_path_is_one(tmp_path: Path) -> None:
    path = write(tmp_path / "g.toml", tmp_path / "data", "replay:/x", "mqtt://127.0.0.1:9")
    path.write_text("\ufeff" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert examine(path)[0] == 1
    code, lines = examine(write(tmp_path / "g.toml", Path(), "replay:/x", "mqtt://127.0.0.1:9"))
    assert code == 1, "the working directory is a path"
    path.write_text(path.read_text(encoding="utf-8").replace('data_dir = "."', 'data_dir = ""'), encoding="utf-8")
    code, lines = examine(path)
    assert code == 2 and "data_dir" in lines[0] and "path of at most" in lines[0]


def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    missing = f"pn532://{tmp_path}/khong-co"
    code, lines = examine(write(tmp_path / "g.toml", tmp_path / "data", missing, "mqtt://127.0.0.1:9"))
    assert code == 1
    assert any(missing in line and "not there" in line for line in looks(lines))
    assert any("mqtt://127.0.0.1:9" in line for line in looks(lines))
    assert len(looks(lines)) == 2


@pytest.mark.skipif(file_system_of(Path("/dev/shm")) != "tmpfs", reason="/dev/shm is not a tmpfs here")
def test_a_folder_that_forgets_is_named(tmp_path: Path) -> None:
    folder = Path("/dev/shm") / f"k12edge-doctor-{os.getpid()}"
    _, lines = examine(write(tmp_path / "g.toml", folder, "replay:/x", "mqtt://127.0.0.1:9"))
    assert any("tmpfs, which forgets" in line for line in looks(lines))


def test_a_hub(tmp_path: Path) -> None:
    path = tmp_path / "hub.toml"
    path.write_text(
        f'[hub]\nid = "tram"\nschool = "s1"\ndata_dir = "{tmp_path / "hub"}"\nlisten = "127.0.0.1:0"\n'
        '[broker]\nlisten = "127.0.0.1:0"\n[city]\nkind = "none"\n',
        encoding="utf-8",
    )
    code, lines = examine(path)
    assert (code, looks(lines)) == (0, [])
    assert any("embedded broker" in line for line in lines)


@pytest.mark.parametrize("text", ["", "[gateway", "\udcff"])
def test_a_file_that_is_no_configuration(text: str, tmp_path: Path) -> None:
    path = tmp_path / "g.toml"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    code, lines = examine(path)
    assert code == 2
    assert str(path) in lines[0]


def test_a_hub_that_lays_files_for_the_city_names_the_folder_and_looks_at_it(tmp_path: Path) -> None:
    place = tmp_path / "city" / "files"
    path = tmp_path / "hub.toml"
    path.write_text(
        f'[hub]\nid = "tram"\nschool = "s1"\ndata_dir = "{tmp_path / "hub"}"\n'
        f'[broker]\nlisten = "127.0.0.1:0"\n[city]\nkind = "files"\nfiles_dir = "{place}"\n',
        encoding="utf-8",
    )

    def told() -> tuple[bool, str]:
        findings = list(_hub(path))
        assert not any("no city is configured" in text for _, text in findings)
        return next((good, text) for good, text in findings if text.startswith("city"))

    good, text = told()
    assert good and str(place) in text and "made with the first" in text
    place.mkdir(parents=True)
    assert told() == (True, f"city: files are laid in {place} and sent by people")
    place.rmdir()
    place.write_text("no folder", encoding="utf-8")
    good, text = told()
    assert not good and "is no folder" in text


def test_lamps_on_a_machine_without_pins_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "g.toml", tmp_path / "data", "replay:/x", "mqtt://127.0.0.1:9")
    assert not any("lamps: " in line for line in examine(path)[1])
    path.write_text(path.read_text(encoding="utf-8") + '[signals]\nsinks = ["gpio:green=17"]\n', encoding="utf-8")
    code, lines = examine(path)
    assert code == 1 and any("lamps: " in line for line in lines)


def test_pins_that_may_be_used_are_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _pins(tmp_path) == (False, "lamps: this machine has no pins")
    (tmp_path / "gpiochip0").write_bytes(b"")
    assert _pins(tmp_path) == (True, "lamps: gpiozero and the pins are there")
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "group gpio" in _pins(tmp_path)[1] and not _pins(tmp_path)[0]
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert _pins(tmp_path) == (False, "lamps: gpiozero is missing; pip install 'k12edge[gpio]'")


def test_where_a_hubs_backups_go_and_how_old_the_last_one_is(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    path = tmp_path / "hub.toml"

    def told(backup: str) -> tuple[list[str], list[str]]:
        path.write_text(
            f'[hub]\nid = "tram"\nschool = "s1"\ndata_dir = "{tmp_path / "hub"}"\n[backup]\n{backup}\n',
            encoding="utf-8",
        )
        findings = list(_backups(load_hub_config(path)))
        return [text for _, text in findings], [text for good, text in findings if not good]

    lines, wrong = told("")
    assert "hub's own disk: they don't save from a dead disk" in lines[0] and not wrong
    assert "is not there" in told(f'dir = "{stick}"')[1][0]
    stick.mkdir()
    (tmp_path / "hub").mkdir()
    assert "hub's own disk" in told(f'dir = "{stick}"')[0][0]
    assert "no other disk is mounted" in told(f'dir = "{stick}"\nother_disk = true')[1][0]
    assert "passphrase file" in told(f'passphrase_file = "{tmp_path / "none"}"')[1][0]
    assert "none is made by itself" in told('at = "never"')[1][0]
    store = Store(load_hub_config(path))
    store.open_own_journal()
    assert "none was made yet" in told("")[0][-1]
    with store.database.transaction() as run:
        run.execute("UPDATE events SET received_ms = received_ms - 40 * 3600 * 1000")
    assert "none was made yet" in told("")[1][0], "for more than a day and a half"
    with store.database.transaction():
        store.notes.write(BackedUp(store.clock.now_ms() - 3 * 3_600_000, 1, str(stick), False, {}))
    lines, wrong = told("")
    assert "the last one is 3 h old" in lines[-1] and not wrong
    store.database.close()
