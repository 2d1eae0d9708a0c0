"""What people ask of a hub: wrong configurations and rosters named by line, commands with a running hub and without."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hub.config import hub_config_from
from hub.control import _short
from hub.papers import PAPER_BYTES_MAX
from hub.roster import RosterRefused, parse_roster, release_for, roster_text
from protocol.cards import CardKey
from protocol.errors import ConfigError
from protocol.roster import pack_release, unpack_release
from protocol.topics import roster_topic
from tests.hub.handmade import SCHOOL, Gateway
from tests.hub.running import HubProcess, Wire, until

HUB = {"id": "tram", "school": "79000701"}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, ["[hub]", "'id'", "missing"]),
        ({"hub": {**HUB, "lisen": "x"}}, ["[hub]", "'lisen'", "did you mean 'listen'"]),
        ({"hub": HUB, "brokr": {}}, ["[brokr]", "did you mean 'broker'"]),
        ({"hub": {**HUB, "id": "Trạm 1"}}, ["[hub]", 'id = "Trạm 1"', "lower-case"]),
        ({"hub": {**HUB, "listen": "127.0.0.1:99999"}}, ["[hub]", "127.0.0.1:99999", "HOST:PORT"]),
        ({"hub": {**HUB, "data_dir": 7}}, ["data_dir = 7", "at most 400"]),
        ({"hub": HUB, "city": {"kind": "k12records"}}, ["[city]", "url is missing"]),
        ({"hub": HUB, "city": {"kind": "edfi"}}, ["[city]", 'kind = "edfi"', '"k12records"']),
        ({"hub": HUB, "city": {"kind": "k12records", "url": "ftp://x"}}, ["[city]", "ftp://x", "http://HOST:PORT"]),
        ({"hub": HUB, "city": {"kind": "k12records", "url": "http://a:b@x"}}, ["[city]: url"]),
        ({"hub": HUB, "city": {"city_hold_s": 700_000}}, ["city_hold_s = 700000", "604800"]),
        ({"hub": HUB, "city": {"city_hold_s": True}}, ["city_hold_s", "a whole number"]),
        ({"hub": HUB, "city": {"token_url": "http://x"}}, ["token_url", "client_id"]),
        ({"hub": HUB, "broker": {"embedded": False}}, ["[broker]", "url is missing"]),
        ({"hub": HUB, "broker": {"url": "mqtt://x"}}, ["[broker]", "contradicts embedded"]),
        ({"hub": HUB, "broker": {"embedded": False, "url": "mqtt://x:0"}}, ["[broker]: url", "mqtt://x:0"]),
        ({"hub": HUB, "time": {"source": "gps"}}, ["[time]", "gps", '"ntp"']),
        ({"hub": [HUB]}, ["[hub]", "once"]),
        ({"hub": HUB, "sun": {"meta_key_file": "/m"}}, ["[sun]", "meta_key_file and file_key_file go together"]),
        ({"hub": HUB, "sun": {"diversified": True}}, ["[sun]", "needs context", "18 to 48 hex digits"]),
        ({"hub": HUB, "sun": {"diversified": True, "context": "00" * 8}}, ["[sun]", "needs context"]),
        ({"hub": HUB, "sun": {"diversified": True, "context": "0" * 19}}, ["[sun]", "needs context"]),
        ({"hub": HUB, "sun": {"context": "00" * 9}}, ["[sun]", "contradicts diversified = false"]),
        ({"hub": HUB, "sun": {"proof_at": ["cong-a"]}}, ["[sun]", "'cong-a' is not DEVICE/STATION"]),
        ({"hub": HUB, "sun": {"proof_at": ["a/b/c"]}}, ["[sun]", "'a/b/c' is not DEVICE/STATION"]),
        ({"hub": HUB, "cards": {"apart_s": -1}}, ["[cards]", "apart_s = -1", "3600"]),
    ],
)
def test_a_wrong_key_is_named_with_its_limit(document: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        hub_config_from("hub.toml", document)
    assert all(word in str(refused.value) for word in ["hub.toml", *words]), refused.value


def test_every_default_is_safe() -> None:
    config = hub_config_from("hub.toml", {"hub": HUB})
    assert config.listen == ("127.0.0.1", 8600) and config.broker_listen == ("127.0.0.1", 1883)
    assert config.city.kind == "none" and config.broker_url is None
    assert (config.sun.meta_key_file, config.sun.context, config.sun.proof_at) == (None, None, ())
    assert config.apart_ms == 5_000


def test_the_command_ends_with_2_and_one_message(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text('[hub]\nid = "tram"\nschol = "x"\n', encoding="utf-8")
    for words in (["hub"], ["hub", "devices", "list"]):
        done = subprocess.run(
            [sys.executable, "-m", "k12edge", *words, "--config", str(file)], capture_output=True, text=True, timeout=20
        )
        assert done.returncode == 2 and "did you mean 'school'" in done.stderr and "Traceback" not in done.stderr


# --- rosters ----------------------------------------------------------------------------------------------------------

HEADER = "pupil_key,display_name,class,card_uid\n"


def refusal(text: str) -> str:
    with pytest.raises(RosterRefused) as refused:
        parse_roster("roster.csv", text)
    return str(refused.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("st-1,An,6A1", "3 columns, 4 expected"),
        ("079200001234,An,6A1,a:04A1B2C3D4E580", "personal number"),
        ("st 1,An,6A1,", "pupil_key 'st 1'"),
        ("st-1,,6A1,", "display_name"),
        ("st-1,An,6A1,a:04A1B2", "6 hex digits"),
        ("st-1,An,6A1,4.1E+13", "hex"),
        ("st-1,An,6A1,a:08A1B2C3", "drawn anew"),
        ("st-1,An,6A1,a:00000000", "misread"),
        ("st-1,An,6A1,x:04A1B2C3", "technology"),
        ("st-0,Another,6A1,", "another name or class than on line 2"),
        ("st-9,Chi,6A1,04a1b2c3d4e580", "stands on line 2 already"),
        ("st-1,A\tn,6A1,", "control character"),
        ("st-1,<script>alert(1)</script>,6A1,", "display_name holds what doesn't belong there"),
        ("st-1,=cmd|' /C calc'!A0,6A1,", "display_name begins like a formula"),
        ("st-1,@SUM(1),6A1,", "display_name begins like a formula"),
        ("st-1,-2+3,6A1,", "display_name begins like a formula"),
        ("st-1,Na\u202em,6A1,", "display_name holds what doesn't belong there"),
        ("st-1,Na\u2066m,6A1,", "display_name holds what doesn't belong there"),
        ("st-1,A\u200bn,6A1,", "display_name holds what doesn't belong there"),
        ("st-1,An 0903 123 456,6A1,", "display_name a name with a long number"),
        ("st-1,1234,6A1,", "display_name a name without a letter"),
        ("st-1,An,=1+1,", "class begins like a formula"),
        ('st-1,An,"3/2""><img>",', "class holds what doesn't belong there"),
        ("st-1,An,6\u202eA1,", "class holds what doesn't belong there"),
        ("st-1,An,3/2/2026,", "class is a date"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_taken(line: str, words: str) -> None:
    told = refusal(f"{HEADER}st-0,Bình,6A1,a:04A1B2C3D4E580\n\n{line}\nst-3,Dũng,6A1,\n")
    assert "roster.csv: 1 wrong lines" in told and "line 4: " in told and words in told, told


def test_lines_are_counted_as_a_spreadsheet_counts_them() -> None:
    # These separators of Unicode end no line of a CSV; splitting at them would cut the row and shift every number.
    told = refusal(f"{HEADER}st-0,An\u2028Bình,6A1,\nst-1,C\u0085hi,6A1,\nst-2,,6A1,\n")
    assert "line 4: display_name" in told
    assert "not CSV" in refusal(f'{HEADER}st-0,"An,6A1,\n')
    assert "header must be" in refusal("pupil_key;display_name;class;card_uid\nst-0;An;6A1;\n")
    assert "names no pupil" in refusal(HEADER)
    many = refusal(HEADER + "x x,,,\n" * 100)
    assert "100 wrong lines" in many and "and 80 more" in many


def test_a_roster_of_any_spreadsheet_is_read() -> None:
    rows = 'st-1,"Nguyễn, Văn A",6A1,04A1B2C3D4E580\r\nst-1,"Nguyễn, Văn A",6A1,em:0102030405\r\nst-2,Bé,6A2,\r\n'
    text = "\ufeff" + HEADER.replace("\n", "\r\n") + rows
    found = parse_roster("roster.csv", roster_text("roster.csv", text.encode()))
    assert [row.card for row in found] == ["a:04A1B2C3D4E580", "em:0102030405", None]
    keys = [CardKey(1, b"1" * 32), CardKey(2, b"2" * 32)]
    gate = unpack_release(pack_release(release_for("gate", found, keys, "s", 7, "r-7")))
    assert len(gate.cards) == 4 and set(map(tuple, gate.cards.values())) == {("st-1",)}, "no names at gates"
    counter = release_for("canteen", found, keys, "s", 7, "r-7")
    assert ["st-1", "Nguyễn, Văn A", "6A1"] in counter.cards.values()
    with pytest.raises(RosterRefused, match="not UTF-8"):
        roster_text("roster.csv", HEADER.encode() + "st-1,Nguyễn,6A1,\n".encode("cp1258", "replace") + b"\xff")


def test_a_roster_reaches_gateways_with_a_running_hub_and_without(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path)
    file, wrong = tmp_path / "roster.csv", tmp_path / "wrong.csv"
    file.write_text(f"{HEADER}st-1,An,6A1,a:04A1B2C3D4E580\n", encoding="utf-8")
    wrong.write_text(f"{HEADER}st-1,,6A1,\n", encoding="utf-8")
    done = hub.ask("roster", "import", str(file))
    assert done.returncode == 0 and "1 học sinh" in done.stdout, done
    first = done.stdout.partition(":")[0]
    hub.start()
    try:
        gateway = Gateway()
        wire = Wire(gateway, hub.broker_url)
        releases: list[Any] = []
        wire.listen(roster_topic(SCHOOL, "gate"), lambda body: releases.append(unpack_release(body)))
        until(lambda: releases, "the release is kept by the broker")
        assert releases[-1].release == first and hub.status()["roster"] == first
        refused = hub.ask("roster", "import", str(wrong))
        assert refused.returncode == 1 and "line 2" in refused.stderr and "roster-refused" in refused.stderr
        assert hub.status()["roster"] == first
        file.write_text(f"{HEADER}st-1,An,6A1,a:04A1B2C3D4E580\nst-2,Bé,6A1,a:04A1B2C3D4E581\n", encoding="utf-8")
        assert hub.ask("roster", "import", str(file)).returncode == 0
        until(lambda: len(releases[-1].cards) == 2, "the new release is published")
        assert releases[-1].number > releases[0].number
        # What only the command can open: its own standard input.
        other = f"{HEADER}st-9,An,6A1,a:04A1B2C3D4E589\n"
        asked = hub.ask("roster", "import", "/dev/stdin", stdin=other)
        assert asked.returncode == 1 and "list-guarded" in asked.stderr and "--confirm many-gone" in asked.stderr
        assert hub.status()["roster"] == releases[-1].release
        done = hub.ask("roster", "import", "/dev/stdin", "--confirm", "many-gone", stdin=other)
        assert done.returncode == 0 and "1 học sinh" in done.stdout, done
        for name, words in (("none.csv", "can't be read"), ("huge.csv", "larger than")):
            if name == "huge.csv":
                (tmp_path / name).write_bytes(bytes(PAPER_BYTES_MAX + 1))
            refused = hub.ask("roster", "import", str(tmp_path / name))
            assert refused.returncode == 1 and words in refused.stderr and "file-refused" in refused.stderr
        wire.close()
    finally:
        hub.end()


def test_the_socket_takes_nonsense_and_a_dead_one_is_passed_over(tmp_path: Path) -> None:
    # A path longer than a socket's name can be.
    folder = tmp_path / ("d" * 60) / ("e" * 60)
    folder.mkdir(parents=True)
    hub = HubProcess(folder).start()
    try:
        for nonsense in (
            b"\n",
            b"{\n",
            b'{"action":"nothing","words":{}}\n',
            b"\xff" * 70_000,
            b'{"a":' * 9_000 + b"\n",
        ):
            with socket.socket(socket.AF_UNIX) as line:
                with _short(hub.data_dir / "hub.sock") as name:
                    line.connect(name)
                line.sendall(nonsense)
        assert (hub.data_dir / "hub.sock").stat().st_mode & 0o777 == 0o600
        assert hub.ask("devices", "list").returncode == 0
        hub.kill()
        assert (hub.data_dir / "hub.sock").exists(), "a killed hub leaves its socket"
        assert hub.ask("devices", "accept", "cong").returncode == 0
        hub.start()
        assert "cong" in hub.ask("devices", "list").stdout
    finally:
        hub.end()
