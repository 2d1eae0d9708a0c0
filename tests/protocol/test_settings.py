"""Settings: bounds on every key, unknown ones refused with a guess, errors that name file, section, key and limit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import KEYS as GATEWAY_KEYS
from edge.config import config_from
from hub.config import KEYS as HUB_KEYS
from hub.config import hub_config_from
from protocol.errors import ConfigError
from protocol.settings import TABLES_MAX, Key, is_loopback, parse_listen, read_settings

KEYS = (
    Key("box", "id", "slug", "A name.", needed=True),
    Key("box", "size", "whole", "A size.", 3, low=1, high=9),
    Key("box", "share", "number", "A share.", 0.5, low=0, high=1),
    Key("box", "open", "switch", "Whether.", True),
    Key("box", "label", "text", "A text.", high=5),
    Key("box", "tags", "list", "Texts.", [], high=2),
    Key("lid", "colour", "choice", "Which.", "red", choices=("red", "blue"), many=True),
)


def read(document: dict[str, Any]) -> Any:
    return read_settings("f.toml", document, KEYS)


def test_defaults_are_filled_in() -> None:
    settings = read({"box": {"id": "a"}})
    assert settings.one["box"] == {"id": "a", "size": 3, "share": 0.5, "open": True, "label": None, "tags": []}
    assert settings.many["lid"] == []


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, ["f.toml", "[box]", "'id'", "missing", "lower-case"]),
        ({"boxx": {}}, ["f.toml", "[boxx]", "unknown", "did you mean 'box'?"]),
        ({"zzz": {}}, ["[zzz]", "unknown", "known are box, lid"]),
        ({"box": {"id": "a", "sise": 3}}, ["[box]", "'sise'", "did you mean 'size'?"]),
        ({"box": {"id": "a", "q": 3}}, ["'q'", "known are id, label, open, share, size, tags"]),
        ({"box": []}, ["box is written [box], once"]),
        ({"lid": {}, "box": {"id": "a"}}, ["lid is written [[lid]], once for each"]),
        ({"lid": [1], "box": {"id": "a"}}, ["lid is written [[lid]]"]),
        ({"lid": [{"colour": "green"}], "box": {"id": "a"}}, ["[[lid]] 1", 'colour = "green"', '"red", "blue"']),
        ({"lid": [{}] * (TABLES_MAX + 1), "box": {"id": "a"}}, [str(TABLES_MAX + 1), f"at most {TABLES_MAX}"]),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(document: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        read(document)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", ""), ("id", "A"), ("id", "a b"), ("id", "-a"), ("id", "a-"), ("id", "a/b"), ("id", "a+"), ("id", "ä"),
        ("id", "a" * 65), ("id", 5), ("id", "a\n"),
        ("size", 0), ("size", 10), ("size", 2.0), ("size", True), ("size", "3"), ("size", float("nan")),
        ("share", -0.1), ("share", 1.1), ("share", True), ("share", "0.5"), ("share", float("nan")),
        ("share", float("inf")),
        ("open", 1), ("open", "true"),
        ("label", "123456"), ("label", 5), ("label", "a\0"),
        ("tags", "ab"), ("tags", [1]), ("tags", ["a", "b", "c"]), ("tags", ["a" * 401]),
    ],
)  # fmt: skip
def test_values_out_of_bounds_are_named_with_their_limit(name: str, value: Any) -> None:
    key = next(key for key in KEYS if key.name == name)
    with pytest.raises(ConfigError) as refused:
        read({"box": {"id": "a", name: value}})
    assert f"f.toml: [box]: {name} = " in str(refused.value)
    assert str(refused.value).endswith(f"is not {key.limit}")
    assert len(str(refused.value)) < 300


@given(st.dictionaries(st.sampled_from(["box", "lid", "x"]), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "size", "share", "open", "label", "tags", "colour", "x"]), inner, max_size=4),
    max_leaves=8,
), max_size=3))  # fmt: skip
def test_any_document_is_read_or_refused(document: dict[str, Any]) -> None:
    try:
        settings = read(document)
    except ConfigError:
        return
    assert 1 <= settings.one["box"]["size"] <= 9
    assert 0 <= settings.one["box"]["share"] <= 1


@pytest.mark.parametrize("keys", [GATEWAY_KEYS, HUB_KEYS], ids=["gateway", "hub"])
def test_every_default_is_within_its_own_limit(keys: tuple[Key, ...]) -> None:
    for key in keys:
        assert key.meaning.endswith(".")
        assert key.limit
        if key.default is not None:
            section = {other.name: _some(other) for other in keys if other.table == key.table and other.needed}
            whole = section | {key.name: key.default}
            read_settings("f", {key.table: [whole] if key.many else whole}, [k for k in keys if k.table == key.table])


def _some(key: Key) -> Any:
    return key.choices[0] if key.choices else "a"


GATEWAY = {"gateway": {"id": "a", "school": "s"}}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"station": [{"name": "x", "kind": "gate", "reader": "replay:a"}] * 2}, "stands 2 times"),
        (
            {"station": [{"name": n, "kind": "gate", "reader": "replay:a"} for n in ("x", "y")]},
            "is given to 2 stations",
        ),
        ({"gateway": {"id": "a", "school": "s", "hub_key": "abc"}}, "hub_key is not a public key"),
        ({"station": [{"name": "x", "kind": "kitchen", "reader": "replay:a"}]}, "kitchen"),
        ({"station": [{"name": "x", "kind": "gate", "reader": "r", "repeat_window_s": 601}]}, "from 0 to 600"),
        ({"time": {"source": "gps"}}, "gps"),
        ({"time": {"declared_error_ms": -1}}, "from 0 to"),
        ({"uplinks": {}}, "did you mean 'uplink'?"),
    ],
    ids=str,
)
def test_a_gateways_file_is_held_to_its_rules(change: dict[str, Any], word: str) -> None:
    assert config_from("g.toml", GATEWAY).stations == ()
    with pytest.raises(ConfigError, match=r"g\.toml") as refused:
        config_from("g.toml", GATEWAY | change)
    assert word in str(refused.value)


HUB = {"hub": {"id": "a", "school": "s"}}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"broker": {"embedded": False}}, "url is missing"),
        ({"broker": {"url": "mqtt://h:1"}}, "contradicts embedded"),
        ({"broker": {"embedded": False, "url": "mqtt://hub..local:1"}}, "mqtt://HOST:PORT"),
        ({"broker": {"embedded": False, "url": "http://h:1"}}, "mqtt://HOST:PORT"),
        ({"broker": {"listen": "1883"}}, "HOST:PORT"),
        ({"hub": {"id": "a", "school": "s", "listen": "127.0.0.1:65536"}}, "HOST:PORT"),
        ({"city": {"kind": "k12records"}}, "url is missing"),
        ({"city": {"kind": "k12records", "url": "ftp://h"}}, "http://HOST:PORT"),
        ({"city": {"kind": "none", "token_url": "http://h/t"}}, "client_id"),
        ({"city": {"kind": "files"}}, "files"),
        ({"city": {"city_hold_s": 604_801}}, "604800"),
    ],
    ids=str,
)
def test_a_hubs_file_is_held_to_its_rules(change: dict[str, Any], word: str) -> None:
    assert hub_config_from("h.toml", HUB).broker_url is None
    with pytest.raises(ConfigError, match=r"h\.toml") as refused:
        hub_config_from("h.toml", HUB | change)
    assert word in str(refused.value)


@pytest.mark.parametrize(
    ("text", "address"),
    [("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:80", ("::1", 80)), ("localhost:65535", ("localhost", 65535))],
)
def test_addresses_are_taken_apart(text: str, address: tuple[str, int]) -> None:
    assert parse_listen(text) == address
    assert is_loopback(address[0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "80",
        "host",
        "host:",
        "host:x",
        "host:-1",
        "host:65536",
        "host:٨٠",
        "[::1",
        "[::1:80",
        "::1]:80",
        "::1:80",
        "[]:80",
        "a b:80",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_listen(text)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example", "127.example", ""])
def test_what_others_can_reach(host: str) -> None:
    assert not is_loopback(host)
