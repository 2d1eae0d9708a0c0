"""A segment: a network namespace at the far end of a wire, in which parts of the chain run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from types import TracebackType
from typing import Any, Final

import msgspec

from sim.parts import PartFailed
from sim.wire.line import Terms

TOOLS: Final = ("ip", "unshare", "nsenter")
CONTROL: Final = (
    "for name in cubic reno; do echo $name > /proc/sys/net/ipv4/tcp_congestion_control && break; done 2>/dev/null"
)
"""Loss is taken for congestion, as Linux does unless told otherwise: the harder case. A namespace may lack cubic."""
APART: Final = "K12EDGE_APART"
"""Set in the process that runs in a namespace of its own, so that it isn't made twice."""


def missing() -> str | None:
    """Why no wire can be had here, None where it can: it takes iproute2, util-linux, and root or user namespaces."""
    for tool in TOOLS:
        if _tool(tool) is None:
            return f"{tool} is not installed (iproute2, util-linux)"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun can't be opened"
    done = subprocess.run([*_apart(), "true"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no network namespace is given: {done.stderr.strip()}"


def _tool(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _apart() -> list[str]:
    return ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]


def apart(module: str, words: list[str]) -> None:
    """Go on as `python -m module words` in a network namespace of one's own; returns where this is it already.

    Addresses then collide with nobody's, and all of it is gone with the process. Raises PartFailed.
    """
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    if os.environ.get(APART):
        subprocess.run(["sh", "-c", f"ip link set lo up; {CONTROL}"], check=True)
        return
    why = missing()
    if why is not None:
        raise PartFailed(f"no lossy links here: {why}")
    os.environ[APART] = "1"
    os.execvp("unshare", [*_apart(), sys.executable, "-m", module, *words])


class Segment:
    """See the room. `here` is this side's address, `there` the far one's; parts there are started with `inside`."""

    def __init__(self, number: int, seed: int) -> None:
        """Make the namespace and join it by a perfect wire. Raises PartFailed."""
        self.here, self.there = f"10.77.{number}.1", f"10.77.{number}.2"
        self.name = f"wire{number}"
        self.terms = Terms()
        # The namespace lives as long as this idle process; both end with their input.
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", f"ip link set lo up && {CONTROL} && echo made && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"made\n":
            raise PartFailed("no network namespace is given")
        words = [sys.executable, "-m", "sim.wire", "--name", self.name]
        self._wire = subprocess.Popen(
            [*words, "--here", self.here, "--there", self.there, "--pid", str(self._holder.pid), "--seed", str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._wire.stdout is not None
        if self._wire.stdout.readline() != b"joined\n":
            raise PartFailed(f"{self.name} can't be joined")
        self.inside = ("nsenter", f"--net=/proc/{self._holder.pid}/ns/net")

    def set(self, terms: Terms) -> None:
        """How the wire shall be from now on. Packets that are under way arrive as they would have."""
        self.terms = terms
        self._order(msgspec.json.encode(asdict(terms)))

    def counts(self) -> Any:
        """What passed so far, by direction; see line.Count."""
        self._order(b"count")
        assert self._wire.stdout is not None
        return msgspec.json.decode(self._wire.stdout.readline())

    def side_door(self) -> str:
        """A second, perfect way into the namespace, for whoever looks on; its address. Raises PartFailed."""
        here, there = self.here.replace("10.77", "10.78"), self.there.replace("10.77", "10.78")
        name, far = f"door{self.name[4:]}", f"door{self.name[4:]}-far"
        for words in (
            ["ip", "link", "add", name, "type", "veth", "peer", "name", far],
            ["ip", "link", "set", far, "netns", str(self._holder.pid)],
            ["ip", "address", "add", f"{here}/30", "dev", name],
            ["ip", "link", "set", name, "up"],
            [*self.inside, "ip", "address", "add", f"{there}/30", "dev", far],
            [*self.inside, "ip", "link", "set", far, "up"],
        ):
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                raise PartFailed(f"{' '.join(words)}: {done.stderr.strip()}")
        return there

    def close(self) -> None:
        """End the wire and the namespace; what runs in it still must have ended."""
        for process in (self._wire, self._holder):
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            process.wait(10)

    def __enter__(self) -> Segment:
        """Use it for a block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _order(self, line: bytes) -> None:
        assert self._wire.stdin is not None
        self._wire.stdin.write(line + b"\n")
        self._wire.stdin.flush()
