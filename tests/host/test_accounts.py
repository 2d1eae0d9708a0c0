"""Accounts: a command is under its account's name, whatever the environment says, and the kernel says whose it is."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from host.accounts import account_name, whose_command
from hub.config import HubConfig
from hub.control import ControlSocket, carry_out
from tests.hub.room import HubRoom

MINE = pwd.getpwuid(os.getuid()).pw_name
NOBODY = next(uid for uid in range(60_000, 70_000) if uid not in {entry.pw_uid for entry in pwd.getpwall()})


def test_a_user_id_without_an_account_is_its_number() -> None:
    assert account_name(os.getuid()) == MINE and account_name(NOBODY) == str(NOBODY)


def test_the_account_counts_and_under_sudo_whoever_called_it() -> None:
    other = next(entry for entry in pwd.getpwall() if entry.pw_uid != 0)
    called = {"SUDO_UID": str(other.pw_uid), "USER": "somebody"}
    assert whose_command(0, called) == account_name(other.pw_uid)
    assert whose_command(os.getuid(), {"USER": "somebody"}) == MINE
    assert whose_command(NOBODY, called) == str(NOBODY), "only root is called by sudo"
    for broken in ("", "-1", "x", "9" * 40):
        assert whose_command(0, {"SUDO_UID": broken}) == account_name(0)


def test_a_command_without_any_environment_has_a_name() -> None:
    words = "from k12edge.words import person; print(person())"
    done = subprocess.run([sys.executable, "-c", words], env={}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == MINE


def test_a_running_hub_takes_the_name_from_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = HubRoom(tmp_path / "hub")
    room.close()

    def carry(_action: str, words: Any) -> tuple[str, None]:
        return str(words.get("by")), None

    def said(config: HubConfig) -> str:
        return carry_out(config, "roster-check", {"by": "principal"})

    control = ControlSocket(room.config.data_dir, carry)
    try:
        expected = "principal" if os.getuid() == 0 else MINE
        assert said(room.config) == expected
        monkeypatch.setattr("hub.control.peer_uid", lambda _line: NOBODY)
        assert said(room.config) == str(NOBODY)
        assert carry_out(room.config, "devices-list", {}) == "None", "who wasn't named stays so"
    finally:
        control.close()
