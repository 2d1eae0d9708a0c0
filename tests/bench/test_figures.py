"""What the bench makes of its measurements: verdicts, ratios, percentiles, and what it reads in a recording."""

from __future__ import annotations

import pytest

from bench.durable import count_calls
from bench.figure import Broken, Figure, percentile, ratio
from bench.table import as_markdown, as_text, summary


def test_a_figure_says_whether_and_by_how_much() -> None:
    assert Figure(1, "a", 1.25, "x", 1.25).reached
    missed = Figure(2, "b", 3.3, "x", 2.2)
    assert not missed.reached
    assert missed.missed_by == pytest.approx(1.5)
    slow = Figure(5, "c", 1.0, "x", 1.5, at_least=True)
    assert not slow.reached
    assert slow.missed_by == pytest.approx(1.5)
    assert Figure(5, "d", 1.5, "x", 1.5, at_least=True).reached


def test_the_summary_counts_rows_and_holds_them_to_the_bounds() -> None:
    fine = Figure(1, "a", 1.0, "x", 1.25)
    assert "all 1 lines reached" in summary([fine])
    assert summary([fine, Figure(2, "b", 2.4, "x", 2.2)]).endswith("kept")
    assert summary([fine, Figure(2, "b", 4.4, "x", 2.2)]).endswith("NOT kept")
    three = [Figure(row, "b", 2.4, "x", 2.2) for row in (2, 3, 4)]
    assert summary(three).endswith("NOT kept")
    twice_one_row = [Figure(2, "b", 2.4, "x", 2.2)] * 3
    assert summary(twice_one_row).endswith("kept")
    assert not summary(twice_one_row).endswith("NOT kept")


def test_a_missed_figure_stands_in_both_tables() -> None:
    figures = [Figure(2, "eight", 3.3, "x", 2.2, low=3.0, high=3.6, note="a note")]
    for text in (as_text({"cpu": "z80"}, figures), as_markdown({"cpu": "z80"}, figures)):
        assert "MISSED by 1.50 ×" in text
        assert "z80" in text
        assert "a note" in text


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert percentile(values, 0.99) == 99
    assert percentile(values, 0.5) == 50
    assert percentile([7.0], 0.99) == 7
    assert percentile([3.0, 1.0, 2.0], 1.0) == 3


def test_a_ratio_is_the_median_of_its_rounds() -> None:
    figure = ratio(1, "a", [2.0, 9.0, 3.0], [1.0, 1.0, 2.0], 1.25)
    assert (figure.value, figure.low, figure.high) == (2.0, 1.5, 9.0)
    with pytest.raises(Broken):
        ratio(1, "a", [1.0], [], 1.25)


RECORDING = """\
10 pwrite64(3</d/journal.db-wal>, "before"..., 4096, 4152) = 4096
10 fdatasync(3</d/journal.db-wal>) = 0
10 write(1<pipe:[5]>, "begin\\n", 6) = 6
10 pwrite64(3</d/journal.db-wal>, "\\0\\0, 9"..., 24, 8248) = 24
10 pwrite64(3</d/journal.db-wal>, "x"..., 4096, 8272) = 4096
10 fdatasync(3</d/journal.db-wal>) = 0
10 fdatasync(3</d/journal.db-wal>) = 0
10 pwrite64(4</d/journal.db>, "x"..., 4096, 4096) = 4096
10 fdatasync(4</d/journal.db>) = 0
10 pwrite64(3</d/journal.db-wal>, "h"..., 32, 0) = 32
10 fdatasync(3</d/journal.db-wal>) = 0
10 pwrite64(3</d/journal.db-wal>, "x"..., 24, 32) = 24
10 fdatasync(3</d/journal.db-wal>) = 0
10 fdatasync(9</d/other>) = 0
"""


def test_a_recording_tells_commits_from_checkpoints() -> None:
    work = count_calls(RECORDING)
    assert (work.commit_syncs, work.checkpoint_syncs, work.checkpoints) == (2, 3, 1)
    assert work.written == 24 + 4096 + 4096 + 32 + 24
