"""The units' walls against what the program does: a gateway and a hub at work, each system call of theirs recorded."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from edge.readers.stableport import FOLDERS
from sim.emulators.bench import Bench
from sim.emulators.pn532 import FieldCard
from sim.parts import audit, until
from tests.firmware.service import Service, configure
from tests.firmware.unitfiles import GATEWAY, HUB, directives

UNIT = {"gateway": GATEWAY, "hub": HUB}
CALL = re.compile(r"^\d+ +([a-z_0-9]+)\((.*)$", re.M)
CARD = FieldCard(bytes.fromhex("04A1B2C3D4E580"))
each_role = pytest.mark.parametrize("role", ["gateway", "hub"])


@dataclass
class Trace:
    """What a role did: every call's name and arguments, from start to end."""

    folder: Path
    calls: list[tuple[str, str]]

    def of(self, *names: str) -> list[str]:
        return [arguments for name, arguments in self.calls if name in names]


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trace]:
    """A hub with its broker, a gateway, one tap that arrives: both recorded with strace."""
    folder = tmp_path_factory.mktemp("walls")
    tools = folder / "tools"
    tools.mkdir()
    for name in ("setpriv", "strace"):
        found = shutil.which(name)
        assert found is not None, f"{name} is missing (tests/install-system-packages)"
        (tools / name).symlink_to(found)
    # A path as bare as a gateway's: no compiler that a library might ask where things are.
    env = {"PATH": str(tools), "PYTHONDONTWRITEBYTECODE": "1"}
    hub_toml = configure(folder, "hub")
    hub_toml.write_text(hub_toml.read_text() + '[city]\nkind = "k12records"\nurl = "http://127.0.0.1:9"\n')
    with Bench() as bench:
        chip = bench.add(folder / "reader")
        with Service(folder, "hub", before=tracer(folder, "hub"), **env) as hub:
            assert hub.logged("fingerprint"), hub.words()
            page, broker = (re.search(rf"listening {kind}://\S+:(\d+)", hub.words()) for kind in ("http", "mqtt"))
            assert page is not None
            assert broker is not None
            accept = [sys.executable, "-m", "k12edge", "hub", "devices", "accept", "cong", "--config", str(hub_toml)]
            subprocess.run(accept, check=True, capture_output=True)
            configure(folder, "gateway", int(broker[1]))
            with Service(folder, "gateway", before=tracer(folder, "gateway"), **env) as gateway:
                assert gateway.hear("WATCHDOG=1"), gateway.words()
                until(lambda: chip.looks > 2, "the reader is not polled")
                chip.place(CARD)
                assert gateway.logged("đã ghi"), gateway.words()
                chip.remove()
                url = f"http://127.0.0.1:{page[1]}/v1/ledger/events"
                until(lambda: any(b'"decision":' in raw for _, raw in audit(url)), "the tap does not arrive")
                assert gateway.end()[0] == 0, gateway.words()
            assert hub.end()[0] == 0, hub.words()
    return {role: Trace(folder, CALL.findall((folder / f"{role}.strace").read_text())) for role in UNIT}


def tracer(folder: Path, role: str) -> tuple[str, ...]:
    return (str(folder / "tools" / "strace"), "-D", "-f", "-qq", "-s", "256", "-o", str(folder / f"{role}.strace"))


@cache
def expanded(name: str) -> frozenset[str]:
    """A set of system calls, as this systemd understands it."""
    if not name.startswith("@"):
        return frozenset([name])
    found = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager", name], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    lines = [line.strip() for line in found.stdout.splitlines()[1:] if line.strip() and "#" not in line]
    return frozenset().union(*(expanded(line) for line in lines))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="Debian's systemd is not installed")
@each_role
def test_every_system_call_is_allowed(role: str, traces: dict[str, Trace]) -> None:
    allowed = frozenset().union(
        *(expanded(name) for value in directives(UNIT[role])["SystemCallFilter"] for name in value.split())
    )
    used = {name for name, _ in traces[role].calls}
    assert len(used) > 40
    assert used - allowed == set()


@each_role
def test_reading_the_ntp_state_is_not_refused(role: str, traces: dict[str, Trace]) -> None:
    assert traces[role].of("adjtimex", "clock_adjtime")
    unit = directives(UNIT[role])
    assert "ProtectClock" not in unit
    assert any("clock_adjtime" in value.split() and "adjtimex" in value.split() for value in unit["SystemCallFilter"])


@each_role
def test_the_boot_id_is_not_hidden(role: str, traces: dict[str, Trace]) -> None:
    assert any("/proc/sys/kernel/random/boot_id" in arguments for arguments in traces[role].of("openat"))
    assert "ProcSubset" not in directives(UNIT[role])


@each_role
def test_memory_that_is_written_and_run_is_not_refused_where_it_is_needed(role: str, traces: dict[str, Trace]) -> None:
    both = [a for a in traces[role].of("mmap", "mprotect") if "PROT_WRITE|PROT_EXEC" in a]
    if both:
        assert "MemoryDenyWriteExecute" not in directives(UNIT[role])


@each_role
def test_sockets_are_of_the_allowed_families(role: str, traces: dict[str, Trace]) -> None:
    (allowed,) = directives(UNIT[role])["RestrictAddressFamilies"]
    used = {arguments.split(",")[0] for arguments in traces[role].of("socket", "socketpair")}
    assert "AF_INET" in used
    assert used <= set(allowed.split())


def test_usb_readers_are_looked_for_through_sockets_of_the_allowed_families(tmp_path: Path) -> None:
    """With the real libusb, which doesn't begin without netlink."""
    script = (
        "from edge.readers.nfcpy import NfcUsbReader\n"
        "from protocol.errors import ReaderLost\n"
        "reader = NfcUsbReader('usb:04cc:2533')\n"
        "try: reader.open()\n"
        "except ReaderLost as problem: print(problem)\n"
        "reader.close()\n"
    )
    trace = ["strace", "-f", "-qq", "-e", "trace=socket", "-o", str(tmp_path / "usb.strace"), sys.executable, "-c"]
    found = subprocess.run([*trace, script], check=True, capture_output=True, text=True)
    assert "no reader is plugged in" in found.stdout, found
    used = set(re.findall(r"socket\((AF_\w+)", (tmp_path / "usb.strace").read_text()))
    (allowed,) = directives(GATEWAY)["RestrictAddressFamilies"]
    assert "AF_NETLINK" in used
    assert used <= set(allowed.split())


@each_role
def test_writes_only_below_its_data_dir(role: str, traces: dict[str, Trace]) -> None:
    folder = traces[role].folder
    written = [
        match[1]
        for arguments in traces[role].of("openat", "open", "creat")
        if re.search(r"O_WRONLY|O_RDWR|O_CREAT", arguments) and (match := re.search(r'"([^"]+)"', arguments))
    ]
    for arguments in traces[role].of("mkdir", "unlink", "rename", "rmdir", "symlink", "chmod"):
        written += re.findall(r'"([^"]+)"', arguments)
    own = (f"{folder}/{role}/", "/dev/null", "/dev/tty", "/proc/self/fd/")
    # In this scene, besides: the emulated reader, and a sink that the configuration names.
    scene = (f"{folder}/reader", f"{folder}/signals.jsonl", f"{folder}/{role}")
    assert any(path.startswith(own[0]) for path in written)
    assert [path for path in written if not path.startswith(own) and path not in scene] == []


@each_role
def test_no_device_is_opened_that_the_unit_hides(role: str, traces: dict[str, Trace]) -> None:
    opened = {found for arguments in traces[role].of("openat") for found in re.findall(r'"(/dev/[^"]+)"', arguments)}
    # Folders of names are no devices; a gateway looks there for a port that got another name.
    assert opened - set(FOLDERS) <= {"/dev/null", "/dev/urandom", "/dev/random", "/dev/tty"}
