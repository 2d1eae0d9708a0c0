"""Real TCP over a wire in a namespace of its own: prints bytes through loss, packets lost, connections reset."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import suppress

from sim.wire.line import Terms
from sim.wire.segment import Segment, apart


def talk(wire: Segment, listener: socket.socket, terms: Terms, octets: int) -> int:
    """How many of `octets` came through, sent from the far end."""
    wire.set(terms)
    address = f"('{wire.here}', {listener.getsockname()[1]})"
    words = f"import socket; socket.create_connection({address}).sendall(bytes({octets}))"
    far = subprocess.Popen([*wire.inside, sys.executable, "-c", words], stderr=subprocess.DEVNULL)
    connection, _ = listener.accept()
    got = 0
    with suppress(ConnectionResetError), connection:
        while piece := connection.recv(65_536):
            got += len(piece)
    # One whose every segment became a reset never hears that it was cut.
    far.kill()
    far.wait()
    return got


def main() -> None:
    apart("tests.sim.talk", [])
    with Segment(1, 1) as wire, socket.create_server((wire.here, 0)) as listener:
        sent = talk(wire, listener, Terms(loss=0.1, delay_ms=5), 60_000)
        lost = sum(way["lost"] for way in wire.counts().values())
        cut = talk(wire, listener, Terms(cut=1.0), 60_000)
        print(sent, lost, int(cut == 0))


if __name__ == "__main__":
    main()
