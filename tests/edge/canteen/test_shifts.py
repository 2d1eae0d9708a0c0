"""Shifts and PINs: who guesses waits ever longer, also over a restart or a reboot; a shift ends with its meal."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.canteen.shifts import FILE_NAME, FREE_TRIES, SHIFT_MAX_MS, WAIT_FIRST_MS, WAIT_MAX_MS, Shifts

LUNCH, XE, NONE = ("2026-11-27", "lunch"), ("2026-11-27", "snack"), ("", "")


def guess(shifts: Shifts, times: int, now_ms: int) -> int:
    """So many wrong PINs, each as soon as it is looked at; the time after the last one."""
    for _ in range(times):
        now_ms += shifts.wait_ms("quay-1", now_ms)
        shifts.trying("quay-1", now_ms)
    return now_ms


def test_each_wrong_pin_doubles_the_wait_up_to_its_bound_and_a_right_one_ends_it(tmp_path: Path) -> None:
    shifts = Shifts(tmp_path, "boot1", 0)
    now_ms = guess(shifts, FREE_TRIES - 1, 1_000)
    assert shifts.wait_ms("quay-1", now_ms) == 0
    waits = []
    for _ in range(10):
        now_ms = guess(shifts, 1, now_ms)
        waits.append(shifts.wait_ms("quay-1", now_ms))
    assert waits == [min(WAIT_MAX_MS, WAIT_FIRST_MS * 2**n) for n in range(10)] and waits[-1] == WAIT_MAX_MS
    assert shifts.wait_ms("quay-2", now_ms) == 0, "another station's people mistyped nothing"
    shifts.right("quay-1")
    assert shifts.wait_ms("quay-1", now_ms) == 0


def test_the_wait_survives_a_restart_and_begins_anew_with_a_reboot(tmp_path: Path) -> None:
    now_ms = guess(Shifts(tmp_path, "boot1", 0), FREE_TRIES + 1, 1_000)
    again = Shifts(tmp_path, "boot1", now_ms + 4_000)
    assert again.wait_ms("quay-1", now_ms + 4_000) == 2 * WAIT_FIRST_MS - 4_000
    rebooted = Shifts(tmp_path, "boot2", 7)
    assert rebooted.wait_ms("quay-1", 7) == 2 * WAIT_FIRST_MS, "how long it was off nobody knows"
    rebooted.trying("quay-1", 2 * WAIT_FIRST_MS + 7)
    assert Shifts(tmp_path, "boot2", 9_000_000).wait_ms("quay-1", 2 * WAIT_FIRST_MS + 7) == 4 * WAIT_FIRST_MS


def test_an_attempt_counts_before_the_pin_is_looked_at(tmp_path: Path) -> None:
    """A process that is killed while it computes the hash must not have given a guess for nothing."""
    now_ms = guess(Shifts(tmp_path, "boot1", 0), FREE_TRIES, 0)
    assert Shifts(tmp_path, "boot1", now_ms).wait_ms("quay-1", now_ms) == WAIT_FIRST_MS


def test_a_shift_ends_with_its_meal_never_within_it_and_survives_a_restart(tmp_path: Path) -> None:
    shifts = Shifts(tmp_path, "boot1", 0)
    shifts.begin("quay-1", "u-7", 0, NONE)
    assert not shifts.look("quay-1", 1, NONE) and not shifts.look("quay-1", 2, LUNCH), "it came before the meal"
    assert not shifts.look("quay-1", 3 * SHIFT_MAX_MS, LUNCH)
    shifts.save()
    again = Shifts(tmp_path, "boot2", 5)
    assert again.holder("quay-1") == "u-7" and not again.look("quay-1", 6, LUNCH)
    assert again.look("quay-1", 7, XE) and again.holder("quay-1") is None
    again.begin("quay-1", "u-8", 10, NONE)
    assert not again.look("quay-1", 9 + SHIFT_MAX_MS, NONE) and again.look("quay-1", 10 + SHIFT_MAX_MS, NONE)
    again.begin("quay-1", "u-8", 10, LUNCH)
    assert again.look("quay-1", 11, NONE)
    again.begin("quay-1", "u-8", 10, LUNCH)
    again.end("quay-1")
    again.save()
    assert Shifts(tmp_path, "boot2", 20).holder("quay-1") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"quay-1":{"wrong":"x"}}', b"\xff" * 9])
def test_a_damaged_file_costs_the_shift_and_stops_nobody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    shifts = Shifts(tmp_path, "boot1", 0)
    assert shifts.holder("quay-1") is None and shifts.wait_ms("quay-1", 0) == 0
    shifts.begin("quay-1", "u-7", 0, LUNCH)
    shifts.save()
    assert Shifts(tmp_path, "boot1", 1).holder("quay-1") == "u-7"


def test_a_disk_that_takes_nothing_stops_nobody_and_is_written_later(tmp_path: Path) -> None:
    data = tmp_path / "data"
    shifts = Shifts(data, "boot1", 0)
    shifts.begin("quay-1", "u-7", 0, LUNCH)
    shifts.save()
    guess(shifts, FREE_TRIES, 0)
    assert shifts.wait_ms("quay-1", 0) == WAIT_FIRST_MS and shifts.holder("quay-1") == "u-7"
    data.mkdir()
    shifts.save()
    assert Shifts(data, "boot1", 1).holder("quay-1") == "u-7"
