"""Discovery: counters that begin without a network and know no address find each other once there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.edge.canteen.circle import NAMES

PORT = 8078


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=True)


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[str]]]:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    apart = subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True).returncode == 0
    if os.geteuid() != 0 or shutil.which("ip") is None or not apart:
        pytest.skip("needs root, iproute2 and network namespaces")
    made = [
        subprocess.Popen(
            ["unshare", "--net", sys.executable, "-m", "tests.edge.canteen.apart", name, str(PORT)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )
        for name in NAMES[:2]
    ]  # fmt: skip
    yield made
    for one in made:
        one.kill()
        one.wait()
        for pipe in (one.stdin, one.stdout):
            if pipe is not None:
                pipe.close()


def _line(one: subprocess.Popen[str]) -> str:
    assert one.stdout is not None
    return one.stdout.readline().strip()


def test_counters_that_begin_without_a_network_and_know_no_address_find_each_other(
    pair: list[subprocess.Popen[str]],
) -> None:
    assert [_line(one) for one in pair] == ["begun", "begun"]
    for one, tap in zip(pair, ("tap.a", "tap.b"), strict=True):
        assert one.stdin is not None
        one.stdin.write(f"{tap}\n")
    first, second = (str(one.pid) for one in pair)
    # A cable between both, without a router, a name server or a default route.
    wire = ("ip", "link", "add", "lan0", "netns", first, "type", "veth", "peer", "name", "lan0", "netns", second)
    _run(*wire)
    for number, pid in enumerate((first, second)):
        _run("nsenter", "-t", pid, "-n", "ip", "addr", "add", f"10.9.0.{number + 1}/24", "brd", "+", "dev", "lan0")
        _run("nsenter", "-t", pid, "-n", "ip", "link", "set", "lan0", "up")
    assert [_line(one) for one in pair] == ["quay-b told tap.b", "quay-a told tap.a"]
