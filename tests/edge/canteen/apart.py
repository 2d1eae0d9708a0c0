"""One counter in a network namespace of its own, for test_discovery: `python -m tests.edge.canteen.apart NAME PORT`.

It begins without any network, hears its orders on standard input (a line: a record to be told), and says what it knows.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

from edge.canteen.exchange import Exchange
from edge.canteen.talk import Talk
from protocol.served import Told
from tests.edge.canteen.circle import IDENTITIES, SCHOOL, boottime_ms, keys_but, told


class Apart:
    def __init__(self, name: str) -> None:
        self.others = keys_but(name)

    def keys(self) -> dict[str, str]:
        return self.others

    def heard(self, device: str, told: Sequence[Told]) -> None:
        for one in told:
            print(f"{device} told {one.tap}", flush=True)


def main(name: str, port: int) -> None:
    hears = Apart(name)
    exchange = Exchange(
        Talk(SCHOOL, name, f"run-{name}", IDENTITIES[name]), hears, boottime_ms, listen=("0.0.0.0", port)
    )
    threading.Thread(target=exchange.run, daemon=True).start()
    print("begun", flush=True)
    for line in sys.stdin:
        exchange.said(told(line.strip()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
