"""The default TOML files: every key with its default, refused by name while unfilled, sound once filled in."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.config import KEYS as GATEWAY_KEYS
from edge.config import load_config
from edge.readers.opening import make_reader
from hub.config import KEYS as HUB_KEYS
from hub.config import load_hub_config
from protocol.errors import ConfigError
from protocol.settings import Key
from protocol.signing import Identity
from tests.firmware.unitfiles import FIRMWARE

FILES: list[tuple[Path, tuple[Key, ...], Callable[[Path], Any]]] = [
    (FIRMWARE / "gateway" / "gateway.toml", GATEWAY_KEYS, load_config),
    (FIRMWARE / "hub" / "hub.toml", HUB_KEYS, load_hub_config),
]
each_file = pytest.mark.parametrize(("path", "keys", "load"), FILES, ids=[path.name for path, _, _ in FILES])
KEY_LINE = re.compile(r"^(?:# )?([a-z_]+) = (.+)$")


def shown(path: Path) -> dict[tuple[str, str], tuple[Any, bool]]:
    """(table, key) -> its value as shown, and whether the line is in force."""
    found: dict[tuple[str, str], tuple[Any, bool]] = {}
    table = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            table = line.strip("[]")
        elif match := KEY_LINE.match(line):
            assert (table, match[1]) not in found, f"{match[1]} stands twice"
            found[table, match[1]] = (tomllib.loads(f"x = {match[2]}")["x"], not line.startswith("#"))
    return found


def filled(path: Path, folder: Path, change: Callable[[str], str] = lambda text: text) -> Path:
    copy = folder / path.name
    copy.write_text(change(path.read_text(encoding="utf-8").replace("CHANGE-ME", "thcs-1")), encoding="utf-8")
    return copy


@each_file
def test_every_key_is_shown_and_no_other(path: Path, keys: tuple[Key, ...], load: object) -> None:
    assert set(shown(path)) == {(key.table, key.name) for key in keys}


@each_file
def test_defaults_are_shown_as_they_are(path: Path, keys: tuple[Key, ...], load: object) -> None:
    lines = shown(path)
    for key in keys:
        value, in_force = lines[key.table, key.name]
        assert in_force == key.needed, key.name
        if key.default is not None:
            assert value == key.default, key.name


@each_file
def test_an_unfilled_file_is_refused_and_says_where(
    path: Path, keys: object, load: Callable[[Path], Any], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"(gateway|hub)\.toml: \[(gateway|hub)\]: id = \"CHANGE-ME\""):
        load(path)


@each_file
def test_a_filled_file_loads(path: Path, keys: object, load: Callable[[Path], Any], tmp_path: Path) -> None:
    config = load(filled(path, tmp_path))
    assert config.school == "thcs-1"
    assert str(config.data_dir).startswith("/var/lib/k12edge/")


@each_file
def test_every_line_may_be_put_in_force(path: Path, keys: object, load: Callable[[Path], Any], tmp_path: Path) -> None:
    def change(text: str) -> str:
        text = re.sub(r"^# ([a-z_]+ = )", r"\1", text, flags=re.M)
        text = text.replace('hub_key = "thcs-1"', f'hub_key = "{Identity(bytes(32), bytes(32)).key}"')
        text = text.replace("diversified = false", "diversified = true")
        text = text.replace('context = "thcs-1"', f'context = "{bytes(9).hex()}"')
        text = text.replace('sink = "none"', 'sink = "webhook"')
        # Keys that go with another choice; a counter is in a canteen, which has no direction.
        if '"0.0.0.0:8078"' in text:
            text = re.sub(r"^direction = .*$", "", text.replace('kind = "gate"', 'kind = "canteen"'), flags=re.M)
        text = re.sub(r"^(files_dir|file) = .*$", "", text, flags=re.M)
        return text.replace("embedded = true", "embedded = false").replace('kind = "none"', 'kind = "k12records"')

    load(filled(path, tmp_path, change))


def test_the_gateways_reader_is_one_that_can_be_opened(tmp_path: Path) -> None:
    config = load_config(filled(FIRMWARE / "gateway" / "gateway.toml", tmp_path))
    for reader in config.readers:
        make_reader(reader)


def test_nothing_is_reachable_from_outside_unless_somebody_says_so(tmp_path: Path) -> None:
    config = load_hub_config(filled(FIRMWARE / "hub" / "hub.toml", tmp_path))
    assert config.listen[0] == "127.0.0.1"
    assert config.broker_listen[0] == "127.0.0.1"


def test_a_usb_name_of_udev_is_a_readers_address() -> None:
    make_reader("pn532:///dev/k12edge/platform-3f980000.usb-usb-0:1.2:1.0")
