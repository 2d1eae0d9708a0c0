"""The plan of backups: names, which stay, when one is due, what is safe where."""

from __future__ import annotations

from random import Random

import pytest

from hub.backups.plan import (
    DAY_MS,
    DAY_S,
    INTERVAL_S_MAX,
    Named,
    due,
    folder_name,
    interval_s,
    kept,
    late,
    named,
    safe_where,
    slot_ms,
    standing,
)
from hub.config import hub_config_from
from protocol.errors import ConfigError
from protocol.ranges import RangeSet
from tests.hub.handmade import T0_MS

HOUR_MS = 3_600_000
AT = 20 * 60
EVENING_MS = slot_ms(AT, T0_MS)


def test_a_name_says_number_and_time_and_is_nobody_elses() -> None:
    name = folder_name("79000701", "tram", T0_MS, 17)
    assert name == "k12edge-79000701-tram-20261118T110640Z-17"
    assert named(name, "79000701", "tram") == Named(17, T0_MS)
    for school, hub in (("79000701", "tram-b"), ("79000702", "tram"), ("79000701", "tra")):
        assert named(name, school, hub) is None
    for wrong in (
        f"{name}x",
        name.replace("-17", "-0"),
        name.replace("T11", "T99"),
        "k12edge-79000701-tram-",
        "photos",
    ):
        assert named(wrong, "79000701", "tram") is None
    assert named(folder_name("79000701", "tram", -5, 1), "79000701", "tram") == Named(1, 0)


def test_seven_days_and_four_weeks_stay() -> None:
    # Twice a day for sixty days; the number grows with the time.
    backups = [Named(n + 1, EVENING_MS + n * DAY_MS // 2) for n in range(120)]
    stays = kept(backups, same_disk=False)
    days = sorted({(one.made_ms + 7 * HOUR_MS) // DAY_MS for one in backups if one.number in stays})
    assert {118, 119, 120} <= stays
    assert len(days) >= 7 and days[-7:] == list(range(days[-1] - 6, days[-1] + 1))
    assert len({(day + 3) // 7 for day in days}) == 4, "of four weeks"
    assert len(stays) <= 3 + 7 + 4
    assert kept(backups, same_disk=True) == {119, 120}


def test_a_clock_that_was_wrong_makes_no_backup_older() -> None:
    backups = [Named(n, EVENING_MS + n * DAY_MS) for n in range(1, 40)] + [Named(40, 0)]
    assert 40 in kept(backups, same_disk=False)


def test_due_at_the_hour_of_the_school_and_once() -> None:
    assert (EVENING_MS + 7 * HOUR_MS) % DAY_MS == 20 * HOUR_MS
    before, after = EVENING_MS - 1, EVENING_MS + 1
    assert not due(AT, EVENING_MS - 23 * HOUR_MS, before)
    assert due(AT, EVENING_MS - 23 * HOUR_MS, after)
    assert not due(AT, after, EVENING_MS + 20 * HOUR_MS)
    assert due(AT, after, EVENING_MS + DAY_MS)
    assert not due(None, 0, after), "never"
    assert due(AT, EVENING_MS + 400 * DAY_MS, after), "a clock that was far ahead keeps nothing off"


def test_late_after_a_day_and_a_half_and_gateways_are_told_how_long_it_really_takes() -> None:
    assert not late(AT, T0_MS, T0_MS + 36 * HOUR_MS)
    assert late(AT, T0_MS, T0_MS + 36 * HOUR_MS + 1)
    assert not late(None, T0_MS, T0_MS + 90 * DAY_MS)
    assert interval_s(T0_MS, T0_MS + HOUR_MS) == DAY_S
    assert interval_s(T0_MS, T0_MS + 10 * DAY_MS) == 10 * DAY_S
    assert interval_s(T0_MS, T0_MS - DAY_MS) == DAY_S
    assert interval_s(0, T0_MS) == INTERVAL_S_MAX


@pytest.mark.parametrize("seed", range(40))
def test_standing_counts_what_safe_where_says(seed: int) -> None:
    rng = Random(seed)
    held = RangeSet((first, first + rng.randrange(9)) for first in rng.sample(range(1, 80), 5))
    city = RangeSet((first, first + rng.randrange(12)) for first in rng.sample(range(1, 80), 4))
    through = rng.randrange(90)
    each = [safe_where(n, city, through) for first, last in held for n in range(first, last + 1)]
    found = standing(held, city, through)
    counted = (found.records, found.at_city, found.in_backup, found.here_only)
    assert counted == (len(each), each.count("city"), each.count("backup"), each.count("here"))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"at": "24:00"}, "at = '24:00'"),
        ({"at": "8:00"}, "at = '8:00'"),
        ({"other_disk": True}, "needs dir"),
    ],
)
def test_a_wrong_plan_is_refused(table: dict[str, object], says: str) -> None:
    document = {"hub": {"id": "tram", "school": "79000701", "data_dir": "/x"}, "backup": table}
    with pytest.raises(ConfigError, match=says):
        hub_config_from("hub.toml", document)


def test_the_plan_as_it_is_by_itself() -> None:
    plan = hub_config_from("hub.toml", {"hub": {"id": "tram", "school": "79000701", "data_dir": "/x"}}).backup
    assert (str(plan.place), plan.named, plan.other_disk, plan.at_minutes) == ("/x/backups", False, False, 20 * 60)
    never = hub_config_from("hub.toml", {"hub": {"id": "t", "school": "s"}, "backup": {"at": "never"}}).backup
    assert never.at_minutes is None
