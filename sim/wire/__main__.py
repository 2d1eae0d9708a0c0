"""The wire's own process: two TUN devices, one on each side, and a line between them; orders come on its input.

Packets are lost here, not in a model: the kernels' TCP on both sides sees it and does what it does.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import select
import struct
import subprocess
import sys
import time
from dataclasses import asdict
from random import Random
from typing import Final

import msgspec

from sim.wire.line import Terms, Way

TUNSETIFF: Final = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
PACKET_BYTES_MAX: Final = 65_536
LOOK_S: Final = 1.0


def make_tun(name: str) -> int:
    """A TUN device of this name; its descriptor gives and takes IP packets. Raises OSError."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode("ascii"), IFF_TUN | IFF_NO_PI))
    return device


def main() -> int:
    """Join this namespace and another one until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m sim.wire", description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--here", required=True, help="address on this side")
    parser.add_argument("--there", required=True, help="address in the other namespace")
    parser.add_argument("--pid", type=int, required=True, help="a process in the other namespace")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    here, there = make_tun(asked.name), make_tun(f"{asked.name}-far")
    _ip("link", "set", f"{asked.name}-far", "netns", str(asked.pid))
    _ip("address", "add", asked.here, "peer", asked.there, "dev", asked.name)
    _ip("link", "set", asked.name, "up")
    inside = ("nsenter", f"--net=/proc/{asked.pid}/ns/net")
    _ip("address", "add", asked.there, "peer", asked.here, "dev", f"{asked.name}-far", inside=inside)
    _ip("link", "set", f"{asked.name}-far", "up", inside=inside)
    print("joined", flush=True)
    _carry(here, there, Random(asked.seed))
    return 0


def _ip(*words: str, inside: tuple[str, ...] = ()) -> None:
    subprocess.run([*inside, "ip", *words], check=True)


def _carry(here: int, there: int, rng: Random) -> None:
    terms = Terms()
    away, home = Way(rng), Way(rng)
    orders = b""
    while True:
        now_ms = time.monotonic() * 1000
        due = [at for at in (away.next_ms(), home.next_ms()) if at is not None]
        wait_s = max(0.0, min([LOOK_S, *((at - now_ms) / 1000 for at in due)]))
        readable = select.select([0, here, there], [], [], wait_s)[0]
        now_ms = time.monotonic() * 1000
        if 0 in readable:
            octets = os.read(0, 65_536)
            if not octets:
                return
            *lines, orders = (orders + octets).split(b"\n")
            for line in lines:
                if line == b"count":
                    counts = {"away": asdict(away.count), "home": asdict(home.count)}
                    sys.stdout.buffer.write(msgspec.json.encode(counts) + b"\n")
                    sys.stdout.flush()
                else:
                    terms = msgspec.json.decode(line, type=Terms)
        for device, way, passes in ((here, away, terms.away), (there, home, terms.home)):
            while device in readable and (packet := _read(device)) is not None:
                way.take(packet, terms, passes, now_ms)
        for device, way in ((there, away), (here, home)):
            for packet in way.due(now_ms):
                _write(device, packet)


def _read(device: int) -> bytes | None:
    try:
        return os.read(device, PACKET_BYTES_MAX)
    except BlockingIOError:
        return None


def _write(device: int, packet: bytes) -> None:
    try:
        os.write(device, packet)
    except OSError:
        # A device that is down or full drops, as a wire does.
        return


if __name__ == "__main__":
    sys.exit(main())
