"""What the units rely on, on real processes: readiness, the watchdog's pulse, a clean end in time."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from host.watchdog import HUNG_EXIT, Watchdog
from sim.emulators.bench import Bench
from tests.firmware.service import STOP_S, Service, configure
from tests.firmware.unitfiles import GATEWAY, HUB, one
from tests.patience import within

UNIT = {"gateway": GATEWAY, "hub": HUB}
READY_LINE = {"gateway": "journal ", "hub": "fingerprint"}
each_role = pytest.mark.parametrize("role", ["gateway", "hub"])


def ready(service: Service) -> bool:
    """Ready as its unit has it: READY=1 for Type=notify, else its first line of log."""
    if one(UNIT[service.role], "Type") == "notify":
        return service.hear("READY=1")
    return service.logged(READY_LINE[service.role])


def proves(folder: Path) -> bool:
    done = subprocess.run(
        [sys.executable, "-m", "k12edge", "verify", str(folder / "gateway")], capture_output=True, text=True
    )
    return done.returncode == 0


def children(process: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        found += [int(number) for number in (task / "children").read_text().split()]
    return found


@each_role
def test_starts_says_so_and_ends_cleanly_in_time(role: str, tmp_path: Path) -> None:
    configure(tmp_path, role)
    with Service(tmp_path, role, anew=True) as service:
        assert ready(service), service.words()
        code, took_s = service.end()
        assert code == 0, service.words()
        assert took_s < within(STOP_S)
        if one(UNIT[role], "Type") == "notify":
            assert service.hear("STOPPING=1", 0.5)


@each_role
def test_a_second_sigterm_changes_nothing(role: str, tmp_path: Path) -> None:
    configure(tmp_path, role)
    with Service(tmp_path, role) as service:
        assert ready(service), service.words()
        code, took_s = service.end(twice=True)
    assert code == 0, service.words()
    assert took_s < within(STOP_S)
    assert "Traceback" not in service.words()


@each_role
def test_ends_cleanly_while_a_reader_polls_and_records_stand(role: str, tmp_path: Path) -> None:
    configure(tmp_path, role)
    with Bench() as bench:
        chip = bench.add(tmp_path / "reader")
        with Service(tmp_path, role) as service:
            assert ready(service), service.words()
            deadline_s = time.monotonic() + 20
            while role == "gateway" and chip.looks < 3:
                assert time.monotonic() < deadline_s, service.words()
                time.sleep(0.02)
            code, took_s = service.end(signal.SIGINT)
    assert code == 0, service.words()
    assert took_s < within(STOP_S)
    if role == "gateway":
        assert proves(tmp_path)


@each_role
def test_sigterm_right_at_the_start_is_clean(role: str, tmp_path: Path) -> None:
    """At every moment of the start, also before the handler stands: then the process just ends, as systemd expects."""
    configure(tmp_path, role)
    codes = set()
    for delay_s in (0.0, 0.05, 0.12, 0.2, 0.27, 0.35, 0.45, 0.6, 0.9):
        with Service(tmp_path, role, anew=True) as service:
            # A moment of the start, not a state, is what is meant.
            time.sleep(delay_s)
            code, took_s = service.end()
        assert code in (0, -signal.SIGTERM), service.words()
        assert took_s < within(STOP_S)
        assert "Traceback" not in service.words()
        codes.add(code)
    assert 0 in codes
    with Service(tmp_path, role, anew=True) as service:
        assert ready(service), service.words()
        assert service.end()[0] == 0
    if role == "gateway":
        assert proves(tmp_path)


@each_role
def test_ends_in_time_while_the_broker_is_mute(role: str, tmp_path: Path) -> None:
    """A broker that takes the connection and never says a word: the network's worst case for an end in time."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        path = configure(tmp_path, role, port)
        external = f'embedded = false\nurl = "mqtt://127.0.0.1:{port}"'
        path.write_text(path.read_text().replace('[broker]\nlisten = "127.0.0.1:0"', f"[broker]\n{external}"))
        with Service(tmp_path, role) as service:
            assert ready(service), service.words()
            mute.settimeout(10)
            with mute.accept()[0]:
                code, took_s = service.end()
    assert code == 0, service.words()
    assert took_s < within(STOP_S)


@each_role
def test_ends_in_time_while_nobody_takes_the_connection(role: str, tmp_path: Path) -> None:
    """A broker's machine that drops the first packet: here its queue is full, so that no connection comes about."""
    with socket.socket() as full, ExitStack() as others:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        mine = set()
        for _ in range(64):
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(full.getsockname())
            mine.add(other.getsockname()[1])
        port = full.getsockname()[1]
        path = configure(tmp_path, role, port)
        external = f'embedded = false\nurl = "mqtt://127.0.0.1:{port}"'
        path.write_text(path.read_text().replace('[broker]\nlisten = "127.0.0.1:0"', f"[broker]\n{external}"))
        with Service(tmp_path, role) as service:
            assert ready(service), service.words()

            def connecting() -> bool:
                # A SYN of this process that waits for its answer (proc(5), /proc/net/tcp: state 02).
                rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
                return any(
                    int(row.split()[2].split(":")[1], 16) == port
                    and row.split()[3] == "02"
                    and int(row.split()[1].split(":")[1], 16) not in mine
                    for row in rows
                )

            deadline_s = time.monotonic() + 20
            while not connecting():
                assert time.monotonic() < deadline_s, service.words()
                time.sleep(0.02)
            code, took_s = service.end()
    assert code == 0, service.words()
    assert took_s < within(STOP_S)


def test_ready_means_that_the_journal_is_open(tmp_path: Path) -> None:
    configure(tmp_path, "gateway")
    with Service(tmp_path, "gateway") as service:
        assert service.hear("READY=1")
        assert service.said[0] == "READY=1"
        done = subprocess.run(
            [sys.executable, "-m", "k12edge", "journal", "--json", str(tmp_path / "gateway")],
            capture_output=True,
            text=True,
        )
        assert "journal.opened" in done.stdout


def test_readiness_waits_for_neither_reader_nor_hub(tmp_path: Path) -> None:
    configure(tmp_path, "gateway")
    with Service(tmp_path, "gateway", anew=True) as service:
        assert service.hear("READY=1", 5.0), service.words()


@each_role
def test_the_watchdog_beats_several_times_within_its_period(role: str, tmp_path: Path) -> None:
    configure(tmp_path, role)
    with Service(tmp_path, role) as service:
        assert service.hear("READY=1")
        assert service.hear("WATCHDOG=1", within(3.0))
        began_s = time.monotonic()
        assert service.hear("WATCHDOG=1", within(3.0))
        period_s = time.monotonic() - began_s
    assert period_s * 5 < float(one(UNIT[role], "WatchdogSec"))


def test_a_stopped_process_gives_no_beat_and_goes_on_afterwards(tmp_path: Path) -> None:
    configure(tmp_path, "gateway")
    with Service(tmp_path, "gateway") as service:
        assert service.hear("WATCHDOG=1")
        service.process.send_signal(signal.SIGSTOP)
        service.hear("", 0.1)
        assert not service.hear("WATCHDOG=1", 2.5)
        service.process.send_signal(signal.SIGCONT)
        assert service.hear("WATCHDOG=1", within(3.0))
        assert service.end()[0] == 0


HANGING = {
    "gateway": """
from edge import app
from edge.delivery import Delivery
app.DELIVERY_PATIENCE_S = 1
Delivery.turn = hang
""",
    "mailroom": """
from hub.road.mailroom import Mailroom
impatient("mailroom")
Mailroom.turn = hang
""",
    "forwarder": """
from hub.forwarding.forwarder import Forwarder
impatient("forwarder")
Forwarder.turn = hang
""",
    "inspector": """
from hub.cards.inspector import Inspector
impatient("inspector")
Inspector.turn = hang
""",
    "daybook": """
from hub.days.daybook import Daybook
impatient("daybook")
Daybook.turn = hang
""",
    "web": """
import time
from starlette.routing import Route
from hub.web import site
impatient("web")
made = site.make_app
def make_app(*parts):
    served = made(*parts)
    async def hang_here(request):
        time.sleep(3600)
    served.router.routes.append(Route("/hang", hang_here))
    return served
site.make_app = make_app
""",
}
AROUND = """
import sys, threading
from k12edge.cli import main

def hang(*_):
    threading.Event().wait()

class Others:
    # All but one worker, also those that are still to be thought of.
    def __init__(self, name):
        self.name = name
    def __contains__(self, other):
        return other != self.name

def impatient(name):
    # Only with this one: others rest for seconds.
    from hub import app
    app.PATIENCE_S = 1
    app.ASKING = Others(name)

{}
sys.exit(main())
"""


@pytest.mark.parametrize("thread", HANGING)
def test_a_process_with_a_hung_thread_ends_and_names_it(thread: str, tmp_path: Path) -> None:
    """systemd starts it again; everything that was shown or receipted stands in its file."""
    role = "gateway" if thread == "gateway" else "hub"
    path = configure(tmp_path, role)
    if thread == "forwarder":
        with path.open("a", encoding="utf-8") as config:
            config.write('[city]\nkind = "k12records"\nurl = "http://127.0.0.1:9"\n')
    with Service(tmp_path, role, program=("-c", AROUND.format(HANGING[thread]))) as service:
        assert service.hear("READY=1"), service.words()
        if thread == "web":
            assert service.hear("WATCHDOG=1")
            address = re.search(r"listening http://([0-9.]+):(\d+)", service.words())
            assert address is not None, service.words()
            with socket.create_connection((address[1], int(address[2])), 5) as line:
                line.sendall(b"GET /hang HTTP/1.1\r\nhost: hub\r\n\r\n")
                assert service.process.wait(20) == HUNG_EXIT, service.words()
        assert service.process.wait(20) == HUNG_EXIT, service.words()
        assert f"{'delivery' if thread == 'gateway' else thread} hangs" in service.words()
    with Service(tmp_path, role) as service:
        assert service.hear("READY=1"), service.words()
        assert service.hear("WATCHDOG=1"), service.words()
        assert service.end()[0] == 0


def test_a_hung_thread_silences_the_watchdog() -> None:
    hung: list[str] = []
    watchdog = Watchdog(hung.append)
    watchdog.watch("lane gate-1", lambda: 7, 3)
    looks = 0
    while watchdog.look() is None:
        looks += 1
        assert looks < 10
    assert watchdog.look() == "lane gate-1"


def test_what_systemd_sends_to_a_hung_process_leaves_its_stacks_in_the_log(tmp_path: Path) -> None:
    name, _, value = one(GATEWAY, "Environment").partition("=")
    configure(tmp_path, "gateway")
    with Service(tmp_path, "gateway", **{name: value}) as service:
        assert service.hear("READY=1")
        code, _ = service.end(signal.SIGABRT)
    # Stacks of running threads are read without stopping them, which may itself fault; the process ends either way.
    assert code in (-signal.SIGABRT, -signal.SIGSEGV)
    assert "Fatal Python error: Aborted" in service.words()
    assert code == -signal.SIGSEGV or "host/watchdog.py" in service.words()
    with Service(tmp_path, "gateway") as service:
        assert service.hear("READY=1"), service.words()
    assert proves(tmp_path)


BREAKING = """
import sys, threading
from edge import app
from edge.ports import Warning_
from k12edge.cli import main

class Breaking(app.Gateway):
    runs = 0
    def run(self):
        Breaking.runs += 1
        if Breaking.runs == 1:
            broken = Warning_("alarm", "gate-1", None, "journal-damaged")
            threading.Timer(0.3, self.assembly.warn, [broken]).start()
        super().run()

app.Gateway = Breaking
sys.exit(main())
"""


def test_beginning_anew_after_a_damage_is_not_announced_as_an_end(tmp_path: Path) -> None:
    """systemd would take STOPPING=1 at its word, and kill the gateway that goes on (TimeoutStopSec)."""
    configure(tmp_path, "gateway")
    with Service(tmp_path, "gateway", program=("-c", BREAKING)) as service:
        assert service.hear("READY=1"), service.words()
        assert service.hear("READY=1"), service.words()
        assert "STOPPING=1" not in service.said
        assert service.hear("WATCHDOG=1")
        assert service.end()[0] == 0
        assert service.hear("STOPPING=1", 0.5)
    assert proves(tmp_path)


def test_a_wrong_configuration_ends_at_once_and_says_what_is_wrong(tmp_path: Path) -> None:
    for role in ("gateway", "hub"):
        path = configure(tmp_path, role)
        path.write_text(path.read_text().replace("thcs-1", "CHANGE-ME"))
        with Service(tmp_path, role) as service:
            assert service.process.wait(10) == 2
        assert 'school = "CHANGE-ME"' in service.words()


def test_a_hub_takes_its_broker_along(tmp_path: Path) -> None:
    configure(tmp_path, "hub")
    with Service(tmp_path, "hub") as service:
        assert ready(service), service.words()
        brokers = children(service.process.pid)
        assert len(brokers) == 1
        assert service.end()[0] == 0
        assert not Path(f"/proc/{brokers[0]}").exists()


def test_a_killed_hub_leaves_no_broker(tmp_path: Path) -> None:
    configure(tmp_path, "hub")
    with Service(tmp_path, "hub") as service:
        assert ready(service), service.words()
        (broker,) = children(service.process.pid)
        waiting = os.pidfd_open(broker)
        service.end(signal.SIGKILL)
        try:
            assert select.select([waiting], [], [], 5.0)[0], "the broker outlived its hub"
        finally:
            os.close(waiting)
