"""HTTPS of the hub's own: an authority for local names, a certificate that renews itself, nothing in clear."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hub.config import hub_config_from
from hub.tls import RENEW_DAYS, SERVER_DAYS, Certificates, page_address
from protocol.errors import ConfigError
from tests.hub.running import HubProcess, until
from tests.hub.web.pagehub import page_hub

NOW_MS = 1_795_600_000_000
DAY_MS = 86_400_000


def served(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "tls" / "server.pem").read_bytes())


def names(certificate: x509.Certificate) -> set[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(one.value) for one in found}


def test_a_browser_with_the_authority_trusts_the_pages_and_one_without_does_not(tmp_path: Path) -> None:
    with page_hub(tmp_path / "hub", tls=True) as hub:
        client = hub.client()
        answer = client.get("/login")
        assert answer.status_code == 200 and "max-age" in answer.headers["strict-transport-security"]
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{hub.url}/login")
        hub.add("ky.thuat", "it")
        inside = hub.log_in("ky.thuat")
        assert "__Host-k12" in inside.cookies and inside.get("/me").status_code == 200
        cookie = hub.client().post("/login", data={"name": "ky.thuat", "password": "x"})
        assert "set-cookie" not in cookie.headers
        page = client.get("/ca").text
        octets = client.get("/ca.crt").content
        authority = x509.load_der_x509_certificate(octets)
        assert authority.public_bytes(Encoding.PEM) == (hub.folder / "tls" / "ca.pem").read_bytes()
        assert hashlib.sha256(octets).digest().hex(":").upper() in page and "<svg" in page
        with socket.create_connection(("127.0.0.1", hub.port)) as plain:
            plain.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP/1.1 200" not in plain.recv(65536)


def test_keys_are_readable_by_the_hub_alone(tmp_path: Path) -> None:
    Certificates(tmp_path, "s", "10.1.2.3").refresh(NOW_MS)
    assert {path.name for path in (tmp_path / "tls").iterdir()} == {"ca.pem", "ca.key", "server.pem", "server.key"}
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in (tmp_path / "tls").iterdir())


def test_the_certificate_renews_itself_under_the_same_authority(tmp_path: Path) -> None:
    made = Certificates(tmp_path, "s", "10.1.2.3", ("hub.lan",))
    made.refresh(NOW_MS)
    first, authority = served(tmp_path), made.authority
    assert {"10.1.2.3", "hub.lan", "localhost", "127.0.0.1"} <= names(first)
    made.refresh(NOW_MS + (SERVER_DAYS - RENEW_DAYS - 1) * DAY_MS)
    assert served(tmp_path) == first
    made.refresh(NOW_MS + (SERVER_DAYS - RENEW_DAYS) * DAY_MS)
    assert served(tmp_path) != first and made.authority == authority
    assert (first.not_valid_after_utc - first.not_valid_before_utc).days <= 825
    again = Certificates(tmp_path, "s", "10.1.2.3", ("hub.lan",))
    again.refresh(NOW_MS)
    assert again.authority == authority, "a restart keeps what phones trust"


def test_another_address_gets_a_certificate_and_a_foreign_name_none(tmp_path: Path) -> None:
    Certificates(tmp_path, "s", "10.1.2.3").refresh(NOW_MS)
    moved = Certificates(tmp_path, "s", "192.168.7.7", ("bank.example",))
    moved.refresh(NOW_MS)
    assert "192.168.7.7" in names(served(tmp_path)) and "bank.example" not in names(served(tmp_path))


def test_the_authority_can_not_speak_for_another_site(tmp_path: Path) -> None:
    Certificates(tmp_path, "s", "10.1.2.3").refresh(NOW_MS)
    authority = x509.load_pem_x509_certificate((tmp_path / "tls" / "ca.pem").read_bytes())
    limits = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical and limits.value.permitted_subtrees
    permitted = {str(one.value) for one in limits.value.permitted_subtrees}
    assert not {"vn", "com", "0.0.0.0/0", "::/0"} & permitted
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0


def test_a_clock_that_was_never_set_makes_a_certificate_for_today(tmp_path: Path) -> None:
    made = Certificates(tmp_path, "s", "10.1.2.3")
    made.refresh(1000)
    assert served(tmp_path).not_valid_before_utc.year >= 2025
    made.refresh(NOW_MS)
    assert served(tmp_path).not_valid_after_utc.timestamp() * 1000 > NOW_MS + RENEW_DAYS * DAY_MS


def test_the_schools_own_certificate_is_served_and_a_broken_one_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    Certificates(tmp_path / "other", "s", "10.1.2.3").refresh(NOW_MS)
    own = tmp_path / "other" / "tls" / "server.pem", tmp_path / "other" / "tls" / "server.key"
    made = Certificates(tmp_path, "s", "10.1.2.3", own=own)
    assert isinstance(made.context(NOW_MS), ssl.SSLContext) and made.authority is None
    assert not (tmp_path / "tls").exists()
    own[0].write_bytes(b"no certificate")
    with pytest.raises(ConfigError, match="certificate_file"):
        Certificates(tmp_path, "s", "10.1.2.3", own=own).refresh(NOW_MS)


def config(listen: str, **web: Any) -> Any:
    document = {"hub": {"id": "h", "school": "s", "listen": listen}, "web": web}
    return hub_config_from("hub.toml", document)


def test_beyond_this_machine_pages_are_encrypted_unless_a_lab_says_otherwise() -> None:
    assert not config("127.0.0.1:8600").web.tls and not config("[::1]:8600").web.tls
    for listen in ("0.0.0.0:8600", "192.168.1.2:8600", "[::]:8600", "hub.lan:8600"):
        assert config(listen).web.tls and not config(listen, plain=True).web.tls
    assert config("127.0.0.1:8600", certificate_file="c", key_file="k").web.tls
    for wrong in ({"certificate_file": "c"}, {"plain": True, "certificate_file": "c", "key_file": "k"}):
        with pytest.raises(ConfigError):
            config("0.0.0.0:8600", **wrong)
    with pytest.raises(ConfigError, match="names"):
        config("0.0.0.0:8600", names=["a b"])


def test_links_name_an_address_that_a_phone_can_open() -> None:
    assert page_address(True, "0.0.0.0", 8600, ("hub.lan",)) == "https://hub.lan:8600"
    assert page_address(False, "127.0.0.1", 8600, ()) == "http://127.0.0.1:8600"
    assert page_address(True, "fd00::2", 8600, ()) == "https://[fd00::2]:8600"
    assert "0.0.0.0" not in page_address(True, "0.0.0.0", 8600, ())


def test_a_hub_beyond_loopback_prints_its_address_and_first_link(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path)
    text = hub.config.read_text(encoding="utf-8")
    hub.config.write_text(text.replace('listen = "127.0.0.1:0"', 'listen = "0.0.0.0:0"', 1), encoding="utf-8")
    hub.launch()
    try:
        said = until(
            lambda: (found := hub.log.read_text(encoding="utf-8")) and "first-login https://" in found and found,
            "the first link is printed",
        )
        port = said.partition("listening https://0.0.0.0:")[2].split()[0]
        trusted = ssl.create_default_context(cafile=str(hub.data_dir / "tls" / "ca.pem"))
        url = f"https://localhost:{port}"
        answer = until(lambda: _tried(url, trusted), "the pages are served")
        assert answer.status_code == 200
        added = hub.ask("user", "add", "co.lan", "--role", "teacher", "--class", "3/2", "--shown", "Cô Lan")
        assert added.returncode == 0 and "https://" in added.stdout.splitlines()[-1]
        assert hub.ask("user", "add", "co.lan", "--role", "guard").returncode == 1
        assert "\u2588" not in added.stdout and "\u2588" in _on_a_terminal(hub, "user", "link", "co.lan")
        token = hub.ask("token", "add", "--role", "auditor").stdout.strip()
        asked = httpx.get(f"{url}/v1/status", verify=trusted, headers={"authorization": f"Bearer {token}"})
        assert asked.status_code == 200
        assert hub.ask("user", "revoke", "co.lan").returncode == 0
        listed = hub.ask("user", "list").stdout
        assert "Cô Lan" in listed and "revoked" in listed
        log = hub.log.read_text(encoding="utf-8")
        assert token not in log and "Cô Lan" not in log and os.path.basename(added.stdout.splitlines()[-1]) not in log
    finally:
        hub.end()


def _on_a_terminal(hub: HubProcess, *words: str) -> str:
    """What a person sees who types this."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "k12edge", "hub", *words, "--config", str(hub.config)]
    with subprocess.Popen(command, stdout=theirs, env={**os.environ, "PYTHONUTF8": "1"}) as asking:
        os.close(theirs)
        said = b""
        with suppress(OSError):
            # Linux ends a terminal that nobody holds any more by an error.
            while piece := os.read(ours, 65536):
                said += piece
        assert asking.wait(20) == 0
    os.close(ours)
    return said.decode("utf-8")


def _tried(url: str, trusted: ssl.SSLContext) -> httpx.Response | None:
    try:
        return httpx.get(f"{url}/login", verify=trusted)
    except httpx.ConnectError:
        return None
