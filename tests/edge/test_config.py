"""The configuration: every bound of every key, told with file, section, key, value and limit; exit code 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.config import KEYS, REPEAT_WINDOW_S, config_from, load_config, parse_url
from host.tomlfile import FILE_BYTES_MAX, LINE_DOTS_MAX
from hub.config import load_hub_config
from k12edge.cli import main
from k12edge.words import EXIT_USAGE
from protocol.errors import ConfigError
from protocol.settings import TABLES_MAX, Key
from protocol.signing import Identity

WHOLE: dict[str, Any] = {
    "gateway": {"id": "cong-a", "school": "79000701"},
    "station": [{"name": "cong", "kind": "gate", "reader": "pn532:///dev/ttyUSB0"}],
}


def _with(key: Key, value: Any) -> dict[str, Any]:
    document = {"gateway": dict(WHOLE["gateway"]), "station": [dict(WHOLE["station"][0])]}
    if key.many:
        document[key.table][0][key.name] = value
    else:
        document.setdefault(key.table, {})[key.name] = value
    return document


def _bad_values(key: Key) -> list[Any]:
    match key.kind:
        case "slug":
            return ["", "A", "a_b", "-a", "a-", "a" * 65, 1, True]
        case "number" | "whole":
            wrong = [key.low - 1, key.high + 1, True, "5", float("nan"), float("inf")]
            return [*wrong, 1.5] if key.kind == "whole" else wrong
        case "choice":
            return ["", "other", 1]
        case "list":
            return ["terminal", ["terminal"] * (int(key.high) + 1), [1], ["x" * 401]]
        case _:
            return ["x" * 401, 1, "a\0b", ["a"]]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.table}.{key.name}")
def test_every_bound_of_every_key_is_named_in_the_refusal(key: Key) -> None:
    for value in _bad_values(key):
        with pytest.raises(ConfigError) as refused:
            config_from("cong.toml", _with(key, value))
        text = str(refused.value)
        assert "cong.toml" in text and f"[{key.table}]" in text and key.name in text and key.limit in text, text


@pytest.mark.parametrize("key", [key for key in KEYS if key.needed], ids=lambda key: f"{key.table}.{key.name}")
def test_a_needed_key_is_asked_for(key: Key) -> None:
    document = _with(key, "x")
    del (document[key.table][0] if key.many else document[key.table])[key.name]
    with pytest.raises(ConfigError, match=f"{key.name!r} is missing"):
        config_from("f", document)


@pytest.mark.parametrize("key", [key for key in KEYS if key.kind in ("number", "whole")], ids=lambda key: key.name)
def test_both_ends_of_a_range_are_allowed(key: Key) -> None:
    for value in (int(key.low), int(key.high)):
        config_from("f", _with(key, value))


def test_defaults() -> None:
    document = dict(WHOLE)
    document["station"] = [{"name": kind, "kind": kind, "reader": f"replay:{kind}"} for kind in REPEAT_WINDOW_S]
    config = config_from("f", document)
    assert {plan.kind: plan.repeat_window_ms for plan in config.stations} == {
        "gate": 5_000,
        "canteen": 20_000,
        "desk": 5_000,
        "care": 5_000,
    }
    assert [plan.direction for plan in config.stations] == ["in", None, None, None]
    assert (config.uplink_url, config.hub_key, config.sinks) == (None, None, ("terminal",))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[gatway]\n", "did you mean 'gateway'"),
        ('[gateway]\nid="a"\nschool="s"\nhubkey="x"\n', "did you mean 'hub_key'"),
        ('[gateway]\nid="a"\nschool="s"\nzzz=1\n', "known are"),
        ("[[gateway]]\n", "written [gateway], once"),
        ('[gateway]\nid="a"\nschool="s"\n[station]\nname="x"\n', "written [[station]]"),
        ("[gateway\n", "is not TOML"),
        ('[gateway]\nid="a"\nschool="s"\nhub_key="short"\n', "hub_key"),
        ('[gateway]\nid="a"\nschool="s"\n[signals]\nsinks=["beep"]\n', "sinks"),
        ('[gateway]\nid="a"\nschool="s"\n[signals]\nsinks=["jsonl:"]\n', "sinks"),
        ('[gateway]\nid="a"\nschool="s"\n[uplink]\nurl="http://hub"\n', "mqtt://HOST:PORT"),
        (
            '[gateway]\nid="a"\nschool="s"\n[[station]]\nname="x"\nkind="gate"\nreader="nfc:usb"\n',
            "reader = 'nfc:usb'",
        ),
        (
            '[gateway]\nid="a"\nschool="s"\n[[station]]\nname="x"\nkind="gate"\nreader="pn532://ttyUSB0"\n',
            "absolute path",
        ),
        (
            '[gateway]\nid="a"\nschool="s"\n' + '[[station]]\nname="x"\nkind="gate"\nreader="replay:a"\n' * 2,
            "stands 2 times",
        ),
        (
            '[gateway]\nid="a"\nschool="s"\n'
            + "".join(f'[[station]]\nname="x{n}"\nkind="gate"\nreader="replay:a"\n' for n in range(2)),
            "given to 2 stations",
        ),
        (
            '[gateway]\nid="a"\nschool="s"\n'
            + "".join(f'[[station]]\nname="x{n}"\nkind="gate"\nreader="replay:{n}"\n' for n in range(TABLES_MAX + 1)),
            f"at most {TABLES_MAX}",
        ),
    ],
)
def test_the_command_names_file_and_fault_and_exits_with_2(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cong.toml"
    path.write_text(text.replace("[gateway]\n", f'[gateway]\ndata_dir="{tmp_path}/data"\n', 1), encoding="utf-8")
    assert main(["gateway", "--config", str(path)]) == EXIT_USAGE
    said = capsys.readouterr().err
    assert told in said and str(path) in said and "[config]" in said


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_config(tmp_path / "bytes.toml")


def test_a_file_that_would_cost_more_memory_than_a_gateway_has_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    text = '[gateway]\nid = "cong"\nschool = "79000701"\n# ' + "." * 999 + "\n[[station]]\n"
    text += 'name = "a"\nkind = "gate"\nreader = "replay:x"\n'
    file.write_text(text + "#" * (FILE_BYTES_MAX - len(text)), encoding="ascii")
    assert load_config(file).gateway_id == "cong", "at the bound, with a comment of dots"
    file.write_text(text + "#" * (FILE_BYTES_MAX - len(text) + 1), encoding="ascii")
    with pytest.raises(ConfigError, match="larger than 131072 bytes"):
        load_config(file)
    file.write_text(text + "a" + ".a" * LINE_DOTS_MAX + " = 1\n", encoding="ascii")
    with pytest.raises(ConfigError, match="key 'a' is unknown"):
        load_config(file)
    file.write_text(text + "a" + ".a" * (LINE_DOTS_MAX + 1) + " = 1\n", encoding="ascii")
    with pytest.raises(ConfigError, match="line 9 has more than 32 dots"):
        load_config(file)


@pytest.mark.parametrize(
    "text",
    ["a=" + "[" * 5_000, "a=" + "{b=" * 5_000, "a=" + "9" * 5_000, "a." * 5_000 + "b=1\n[", "gateway=0x" + "f" * 5_000],
    ids=range(5),
)
@pytest.mark.parametrize("load", [load_config, load_hub_config])
def test_what_a_toml_reader_stumbles_over_is_a_wrong_file(tmp_path: Path, load: Any, text: str) -> None:
    (tmp_path / "wrong.toml").write_text(text, encoding="ascii")
    with pytest.raises(ConfigError, match=r"wrong\.toml"):
        load(tmp_path / "wrong.toml")


def test_a_number_of_thousands_of_digits_is_named() -> None:
    time = {"source": "declared", "declared_error_ms": int("f" * 5_000, 16)}
    with pytest.raises(ConfigError, match="declared_error_ms = a number of thousands of digits"):
        config_from("f", {**WHOLE, "time": time})


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("mqtt://hub", ("hub", 1883)),
        ("mqtt://hub:18/", ("hub", 18)),
        ("mqtt://[::1]", ("::1", 1883)),
        ("mqtt://[::1]:9", ("::1", 9)),
    ],
)
def test_broker_addresses(url: str, found: tuple[str, int]) -> None:
    assert parse_url(url) == found


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "hub",
            "mqtts://hub",
            "mqtt://",
            "mqtt://hub:0",
            "mqtt://hub:70000",
            "mqtt://:1",
            "mqtt://a/b",
            "mqtt://u@h",
        ),
        # No resolver takes them, and the MQTT client's thread would end by them.
        *("mqtt://hub..local", "mqtt://.hub", f"mqtt://{'h' * 64}:1883"),
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        parse_url(url)


def test_a_hub_key_is_taken() -> None:
    document = {**WHOLE, "gateway": {**WHOLE["gateway"], "hub_key": Identity(bytes(32), bytes(32)).key}}
    assert config_from("f", document).hub_key == document["gateway"]["hub_key"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lines:///dev/ttyUSB0?format=hex", "lines:///dev/ttyUSB0?format=dec"),
        ("pn532:///dev/ttyUSB0", "lines:///dev/ttyUSB0?format=hex"),
        ("pn532:///dev/ttyUSB0", "pn532:///dev/ttyUSB0?felica=1"),
        ("pcsc:ACR122U", "pcsc:acr122u"),
        ("replay:a", "replay:a?loop=1"),
    ],
)
def test_a_device_is_given_to_one_station_whatever_its_address_declares(one: str, other: str) -> None:
    stations = [{"name": name, "kind": "gate", "reader": reader} for name, reader in (("a", one), ("b", other))]
    with pytest.raises(ConfigError, match="given to 2 stations"):
        config_from("f", {**WHOLE, "station": stations})


def test_devices_of_two_names_are_two() -> None:
    readers = ("pcsc:ACR122U%2000", "pcsc:ACR122U%2001", "nfcpy:usb:072f:2200", "replay:ACR122U", "simulated:acr122u")
    stations = [{"name": f"s{n}", "kind": "gate", "reader": reader} for n, reader in enumerate(readers)]
    assert config_from("f", {**WHOLE, "station": stations}).readers == readers


CANTEEN: dict[str, Any] = {
    "gateway": WHOLE["gateway"],
    "station": [{"name": "quay-1", "kind": "canteen", "reader": "pn532:///dev/ttyUSB0"}],
}


def test_a_canteens_addresses_are_taken() -> None:
    more = {
        "kiosk": {"listen": "[::1]:8077"},
        "counters": {"listen": "0.0.0.0:8078", "peers": ["192.0.2.8:8078", "192.0.2.7:1"]},
    }
    config = config_from("quay.toml", CANTEEN | more)
    assert config.kiosk_listen == "[::1]:8077" and config.counters_listen == ("0.0.0.0", 8078)
    assert config.counters_peers == (("192.0.2.8", 8078), ("192.0.2.7", 1))
    for document in (WHOLE, CANTEEN):
        config = config_from("quay.toml", document)
        assert (config.kiosk_listen, config.counters_listen, config.counters_peers) == (None, None, ())


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("kiosk", {"listen": "0.0.0.0:8077"}),
        ("kiosk", {"listen": "192.0.2.7:8077"}),
        ("kiosk", {"listen": "example.org:8077"}),
        ("kiosk", {"listen": "127.0.0.1"}),
        ("kiosk", {"listen": ""}),
        ("counters", {"listen": "0.0.0.0:65536"}),
        ("counters", {"listen": "0.0.0.0:8078", "peers": ["192.0.2.8"]}),
    ],
)
def test_pages_with_names_are_for_this_machine_alone_and_addresses_are_addresses(
    table: str, values: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=rf"quay.toml: \[{table}\]"):
        config_from("quay.toml", CANTEEN | {table: values})


@pytest.mark.parametrize("table", ["kiosk", "counters"])
def test_a_gate_has_neither_screens_nor_counters(table: str) -> None:
    with pytest.raises(ConfigError, match="a station of kind canteen"):
        config_from("cong.toml", WHOLE | {table: {"listen": "127.0.0.1:8077"}})


def _counters(listen: str | None, peers: list[str]) -> dict[str, Any]:
    document: dict[str, Any] = {"gateway": WHOLE["gateway"], "counters": {"peers": peers}}
    document["station"] = [{"name": "quay", "kind": "canteen", "reader": "pn532:///dev/ttyUSB0"}]
    if listen is not None:
        document["counters"]["listen"] = listen
    return document


def test_where_other_counters_are_is_an_address_and_no_name() -> None:
    config = config_from("g.toml", _counters("0.0.0.0:8078", ["10.0.3.7:8078"]))
    assert (config.counters_listen, config.counters_peers) == (("0.0.0.0", 8078), (("10.0.3.7", 8078),))
    for listen, peers, named in (
        ("quay-a.local:8078", [], "quay-a.local:8078"),
        ("[::1]:8078", [], "::1:8078"),
        ("0.0.0.0:8078", ["quay-b:8078"], "quay-b:8078"),
        ("0.0.0.0:8078", ["10.0.3.7:0"], "port 0"),
        (None, ["10.0.3.7:8078"], "listen, which is missing"),
    ):
        with pytest.raises(ConfigError, match=r"g\.toml: \[counters\]") as refused:
            config_from("g.toml", _counters(listen, peers))
        assert named in str(refused.value)
