"""The key files of cards: read where only the hub's user can read them, refused with what to do everywhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub.cards.sun import SunKeys
from hub.cards.sunkeys import read_sun_keys
from hub.config import HubConfig
from protocol.errors import ConfigError
from tests.hub.room import config_in

DIGITS = "00112233445566778899AABBCCDDEEFF"


def files(folder: Path, text: str = DIGITS, mode: int = 0o600) -> HubConfig:
    for name, content in (("meta", DIGITS), ("file", text)):
        path = folder / f"{name}.key"
        path.write_text(content, encoding="utf-8")
        path.chmod(0o600 if name == "meta" else mode)
    sun = {"meta_key_file": str(folder / "meta.key"), "file_key_file": str(folder / "file.key")}
    return config_in(folder, sun=sun)


@pytest.mark.parametrize("mode", [0o600, 0o400])
@pytest.mark.parametrize("text", [DIGITS, f"{DIGITS.lower()}\n", f"  {DIGITS}\r\n"])
def test_a_key_is_32_hex_digits_in_a_file_of_its_own(tmp_path: Path, mode: int, text: str) -> None:
    key = bytes.fromhex(DIGITS)
    assert read_sun_keys(files(tmp_path, text, mode).sun) == SunKeys(key, key, None)


def test_without_files_there_are_no_keys(tmp_path: Path) -> None:
    assert read_sun_keys(config_in(tmp_path).sun) is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o700, 0o604])
def test_a_file_that_others_could_read_is_refused_and_the_command_that_mends_it_named(
    tmp_path: Path, mode: int
) -> None:
    with pytest.raises(ConfigError) as refused:
        read_sun_keys(files(tmp_path, mode=mode).sun)
    assert f"file_key_file = {tmp_path}/file.key has mode 0{mode:o}" in str(refused.value)
    assert f"chmod 0600 {tmp_path}/file.key" in refused.value.hint


@pytest.mark.parametrize(
    "text", ["", DIGITS[:-1], DIGITS + "0", DIGITS[:-1] + "G", f"{DIGITS} {DIGITS}", "é" * 32, "0" * 999]
)
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="32 hex digits") as refused:
        read_sun_keys(files(tmp_path, text).sun)
    assert not text or text[:8] not in str(refused.value) + refused.value.hint


def test_a_file_that_is_not_there_and_a_pipe_are_refused_at_once(tmp_path: Path) -> None:
    config = files(tmp_path)
    (tmp_path / "file.key").unlink()
    with pytest.raises(ConfigError, match="No such file") as refused:
        read_sun_keys(config.sun)
    assert "own the file" in refused.value.hint
    os.mkfifo(tmp_path / "file.key", 0o600)
    with pytest.raises(ConfigError, match="is no file"):
        read_sun_keys(config.sun)


def test_a_hub_whose_key_file_is_open_to_others_does_not_start_and_the_doctor_says_so(tmp_path: Path) -> None:
    files(tmp_path, mode=0o644)
    config = tmp_path / "hub.toml"
    config.write_text(
        f'[hub]\nid = "tram"\nschool = "s1"\ndata_dir = "{tmp_path / "hub"}"\nlisten = "127.0.0.1:0"\n'
        f'[broker]\nlisten = "127.0.0.1:0"\n'
        f'[sun]\nmeta_key_file = "{tmp_path}/meta.key"\nfile_key_file = "{tmp_path}/file.key"\n',
        encoding="utf-8",
    )
    said = {}
    for words in (["hub"], ["doctor"], ["hub", "devices", "list"]):
        done = subprocess.run(
            [sys.executable, "-m", "k12edge", *words, "--config", str(config)],
            capture_output=True,
            text=True,
            timeout=30,
        )
        said[words[-1]] = done.returncode, done.stdout + done.stderr
    assert said["hub"][0] == 2 and "chmod 0600" in said["hub"][1] and "Traceback" not in said["hub"][1]
    assert said["doctor"][0] == 1 and "LOOK [sun]: file_key_file" in said["doctor"][1]
    assert said["list"][0] == 0, "who only asks needs no keys"
