"""A real gateway process: full disks, failing and slow fsyncs, ends at any moment, a second one on its directory."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.journalfile import FILE_NAME
from edge.verify import VALID, verify_path
from k12edge.cli import main
from k12edge.words import EXIT_RUNNING
from tests.edge.room import chain_holds, data_of, events, records
from tests.edge.running import STRACE, GatewayProcess, card, until
from tests.patience import FACTOR, within

TICK = [(40, card(number)) for number in range(400)]
"""A pupil every 40 ms."""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    made = GatewayProcess(tmp_path)
    yield made
    if made.tracer is not None and made.tracer.poll() is None:
        made.end(signal.SIGKILL)


def traced(tmp_path: Path, *injections: str) -> GatewayProcess:
    assert STRACE is not None, "sh tests/install-system-packages"
    words = [STRACE, "-f", "-y", "-qq", "-o", str(tmp_path / "trace"), "-e", "trace=fdatasync,openat"]
    return GatewayProcess(tmp_path, before=[*words, *(f"--inject=fdatasync:{text}" for text in injections)])


# --- storage ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB of its own, where the tests may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "k12edge-test", str(place)], capture_output=True, check=False
        ).returncode
    )
    yield place if mounted else tmp_path / "none"
    if mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _fill(place: Path) -> Path:
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1024))
        except OSError:
            return filler


def test_a_full_disk_refuses_with_an_alarm_and_recovers_by_itself(tmp_path: Path, small_disk: Path) -> None:
    if not small_disk.exists():
        pytest.skip("only root mounts a small disk; the file size limit below is the same for everybody else")
    gateway = GatewayProcess(tmp_path, data=small_disk / "data")
    gateway.play(*TICK)
    gateway.start()
    gateway.await_signal("accepted", count=3)
    filler = _fill(small_disk)
    alarms = gateway.await_signal("alarm", count=4)
    assert {alarm["tap"] for alarm in alarms} == {None}
    assert "journal-full" in {alarm["code"] for alarm in alarms}
    refused_until = len(gateway.shown())
    filler.unlink()
    until(lambda: "accepted" in gateway.words()[refused_until:], "recording resumes when space is back")
    assert gateway.end() == 0
    assert gateway.promised() <= gateway.names()
    assert chain_holds(records(gateway.data))
    assert verify_path(gateway.data, None).exit_code == VALID


def test_a_start_on_a_full_disk_waits_for_space(tmp_path: Path, small_disk: Path) -> None:
    if not small_disk.exists():
        pytest.skip("only root mounts a small disk")
    gateway = GatewayProcess(tmp_path, data=small_disk / "data")
    gateway.play(*TICK)
    gateway.start()
    gateway.await_signal("accepted", count=1)
    gateway.end(signal.SIGKILL)
    before = len(gateway.shown())
    filler = _fill(small_disk)
    gateway.start()
    until(lambda: "alarm" in gateway.words()[before:], "an alarm instead of an exit")
    assert "accepted" not in gateway.words()[before:]
    filler.unlink()
    until(lambda: "accepted" in gateway.words()[before:], "it begins when space is back")
    assert gateway.end() == 0
    assert gateway.promised() <= gateway.names()


def test_a_file_that_may_not_grow_refuses_and_recovers(gateway: GatewayProcess) -> None:
    gateway.play(*TICK)
    gateway.start()
    gateway.await_signal("accepted", count=3)
    size = max(path.stat().st_size for path in gateway.data.iterdir())
    soft = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (size, soft[1]))
    alarms = gateway.await_signal("alarm", count=3)
    assert all(alarm["tap"] is None for alarm in alarms)
    refused_until = len(gateway.shown())
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, soft)
    until(lambda: "accepted" in gateway.words()[refused_until:], "recording resumes")
    assert gateway.end() == 0
    assert gateway.promised() <= gateway.names()
    assert verify_path(gateway.data, None).exit_code == VALID


def test_an_fsync_that_fails_once_is_never_called_good(tmp_path: Path) -> None:
    gateway = traced(tmp_path, "error=EIO:when=13")
    gateway.play(*TICK)
    gateway.start()
    alarms = gateway.await_signal("alarm")
    assert alarms[0]["code"] == "journal-failed" and alarms[0]["tap"] is None
    failed_at = gateway.words().index("alarm")
    until(lambda: gateway.words()[failed_at:].count("accepted") >= 3, "the next taps are recorded")
    assert gateway.end() == 0
    # What a failed fsync left can't be trusted: the log is opened anew, moved into the file and both synced, all by the
    # thread that saw the error, before anything else is written.
    trace = (tmp_path / "trace").read_text(encoding="utf-8", errors="replace").splitlines()
    failed = next(number for number, line in enumerate(trace) if "INJECTED" in line)
    after = [line for line in trace[failed + 1 :] if line.split()[0] == trace[failed].split()[0]]
    opened = next(n for n, line in enumerate(after) if f'/{FILE_NAME}-wal", O_RDWR' in line)
    synced = [n for n, line in enumerate(after) if "fdatasync" in line]
    assert opened < synced[0]
    assert f"/{FILE_NAME}-wal>" in after[synced[0]]
    assert any(f"/{FILE_NAME}>" in after[n] for n in synced[1:3])
    names = gateway.names()
    assert gateway.promised() <= names
    assert len(gateway.promised()) == len([word for word in gateway.words() if word == "accepted"])
    assert chain_holds(records(gateway.data))
    assert verify_path(gateway.data, None).exit_code == VALID


def test_while_every_fsync_fails_nothing_is_accepted(tmp_path: Path) -> None:
    gateway = traced(tmp_path, "error=EIO:when=16+")
    gateway.play(*TICK)
    gateway.start()
    gateway.await_signal("alarm", count=5)
    failing = gateway.words()[gateway.words().index("alarm") :]
    assert "accepted" not in failing
    gateway.end(signal.SIGKILL)
    assert gateway.promised() <= gateway.names()


def test_a_slow_fsync_delays_the_signal_says_wait_and_other_cards_are_still_seen(tmp_path: Path) -> None:
    gateway = traced(tmp_path, "delay_enter=600000:when=12+3")
    gateway.play(*TICK)
    gateway.start()
    gateway.await_signal("wait", count=2)
    slow = gateway.words().index("wait")
    until(lambda: gateway.words()[slow:].count("accepted") >= 12, "those who came meanwhile are recorded too")
    assert gateway.end() == 0
    shown = gateway.shown()
    late = next(entry for entry in shown if entry["signal"] == "wait")
    assert late["tap"] is None
    answer = next(e for e in shown[slow:] if e["signal"] == "accepted" and e["card"] == late["card"])
    assert answer["mono_ms"] > late["mono_ms"]
    seen = [data["card"] for data in map(data_of, events(gateway.data)) if "card" in data]
    assert len(seen) == len(set(seen)), "no card was taken twice"
    assert gateway.promised() <= gateway.names()


# --- life and death ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after_s", "signals"), [(0.12, 1), (0.2, 2), (0.3, 5), (0.45, 2), (1.0, 1)])
def test_it_ends_cleanly_within_three_seconds_whenever_and_however_often_asked(
    tmp_path: Path, after_s: float, signals: int
) -> None:
    gateway = GatewayProcess(tmp_path, uplink="mqtt://127.0.0.1:1")
    gateway.play(*TICK)
    gateway.start()
    status = Path(f"/proc/{gateway.pid}/status")
    until(lambda: _catches_sigterm(status), "the gateway heeds signals")
    time.sleep(after_s - 0.12)  # The moment of the start that is hit, not something waited for.
    asked_s = time.monotonic()
    for _ in range(signals - 1):
        os.kill(gateway.pid, signal.SIGTERM)
    assert gateway.end() == 0
    assert time.monotonic() - asked_s < within(3)
    if gateway.data.exists() and (gateway.data / FILE_NAME).exists():
        assert gateway.promised() <= gateway.names()
        assert verify_path(gateway.data, None).exit_code == VALID


def _catches_sigterm(status: Path) -> bool:
    caught = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_an_end_that_is_held_up_by_the_storage_is_bounded(tmp_path: Path) -> None:
    gateway = traced(tmp_path, "delay_enter=1500000:when=12+")
    gateway.play(*TICK)
    gateway.start()
    gateway.await_signal("wait")
    asked_s = time.monotonic()
    assert gateway.end() == 0
    # The tracer holds a stopped thread for the rest of its delay, which no kernel would.
    assert time.monotonic() - asked_s < within(3 + 1.5)
    assert gateway.promised() <= gateway.names()


def test_a_clean_end_signs_the_last_head(gateway: GatewayProcess) -> None:
    gateway.play(*TICK)
    gateway.start()
    gateway.await_signal("accepted", count=2)
    assert gateway.end(signal.SIGINT) == 0
    assert events(gateway.data)[-1].name == "journal.head"


def test_a_second_gateway_on_the_directory_refuses_and_the_first_goes_on(gateway: GatewayProcess) -> None:
    gateway.play(*TICK)
    gateway.start()
    gateway.await_signal("accepted")
    second = subprocess.run(
        [sys.executable, "-m", "k12edge", "gateway", "--config", str(gateway.config)],
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == EXIT_RUNNING
    said = second.stderr.decode()
    assert f"is held by process {gateway.pid}" in said and "[already-running]" in said
    count = len(gateway.shown())
    gateway.await_signal("accepted", count=count + 2)
    assert gateway.end() == 0
    assert {event.tap.journal for event in events(gateway.data)} == {next(iter(gateway.names())).partition(".")[0]}


def test_an_audit_beside_a_running_gateway_disturbs_nothing(
    gateway: GatewayProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.play(*[(15, card(number)) for number in range(400)])
    gateway.start()
    gateway.await_signal("accepted")
    for _ in range(25):
        assert main(["verify", str(gateway.data)]) == VALID, capsys.readouterr().out
        assert main(["journal", str(gateway.data), "--json"]) == 0
    listed = capsys.readouterr().out
    assert '"type":"vn.k12edge.attendance.tap.v1"' in listed
    before = len(gateway.shown())
    gateway.await_signal("accepted", count=before + 5)
    # Where tests run beside each other a disk is slow for a tap or two of 400 by itself.
    assert set(gateway.words()) <= {"accepted", "wait"}
    assert gateway.words().count("wait") <= FACTOR - 1, "no tap waited for the audit"
    assert gateway.end() == 0


def test_an_audit_keeps_no_gateway_from_starting(gateway: GatewayProcess) -> None:
    gateway.data.mkdir()
    (gateway.data / "lock").touch()
    script = (
        "import sys; from host.lock import is_held; from pathlib import Path\nwhile True: is_held(Path(sys.argv[1]))"
    )
    asking = subprocess.Popen([sys.executable, "-c", script, str(gateway.data)])
    try:
        gateway.play(*TICK)
        for _ in range(3):
            before = len(gateway.shown())
            gateway.start()
            gateway.await_signal("accepted", "repeated", count=before + 1)
            assert gateway.end() == 0
    finally:
        asking.kill()
        asking.wait(5)


def test_killed_at_once_after_a_signal_its_record_is_there_and_the_next_run_goes_on(gateway: GatewayProcess) -> None:
    gateway.play(*TICK)
    for _ in range(3):
        before = len(gateway.shown())
        gateway.start()
        gateway.await_signal("accepted", "repeated", count=before + 1)
        gateway.end(signal.SIGKILL)
        assert gateway.promised() <= gateway.names()
    assert verify_path(gateway.data, None).exit_code == VALID
    assert len({event.tap.journal for event in events(gateway.data)}) == 3


def test_a_card_still_in_the_hand_after_a_restart_is_the_same_tap(gateway: GatewayProcess) -> None:
    gateway.play((0, card(7)))
    gateway.start()
    gateway.await_signal("accepted")
    gateway.end(signal.SIGKILL)
    gateway.start()
    gateway.await_signal("repeated")
    assert gateway.end() == 0


def test_a_reader_and_its_file_may_come_later(gateway: GatewayProcess) -> None:
    gateway.start()
    until(lambda: "can't be read" in gateway.log.read_text(encoding="utf-8"), "the reader is missed")
    gateway.play((0, card(1)))
    gateway.await_signal("accepted")
    assert gateway.end() == 0
