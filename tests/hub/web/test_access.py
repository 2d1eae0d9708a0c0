"""Who may do what, as pure rules: roles, classes, last days, and what is denied whatever a table says."""

from __future__ import annotations

from datetime import date
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.access.rights import (
    CLASS_ROLES,
    MATRIX,
    MEANINGS,
    PERSONAL,
    READING,
    RIGHTS,
    ROLE_WORDS,
    ROLES,
    Person,
    Right,
    Role,
    allowed,
    may,
    role_of,
)
from hub.access.sessions import (
    FIRST_WAIT_MS,
    FORGET_MS,
    FREE_BY_USER,
    HOUR_MS,
    WAIT_MAX_MS,
    Failures,
    failed,
    spans_ms,
    stands,
    wait_ms,
    weakness,
)

TODAY = date(2026, 11, 26)
YESTERDAY, TOMORROW = date(2026, 11, 25), date(2026, 11, 27)


def test_every_role_and_right_has_its_words() -> None:
    assert set(ROLES) == set(MATRIX) == set(ROLE_WORDS) == set(get_args(Role))
    assert set(RIGHTS) == set(MEANINGS) == set(get_args(Right))
    assert set().union(*MATRIX.values()) | {"account"} == set(RIGHTS), "a right that nobody has is none"
    assert set(RIGHTS) >= READING | PERSONAL
    assert role_of("it") == "it" and role_of("root") is None and role_of("IT") is None


@pytest.mark.parametrize("right", RIGHTS)
def test_a_teacher_has_a_right_on_the_own_class_only(right: Right) -> None:
    teacher = Person("co.lan", "teacher", "3/2")
    for school_class in ("3/3", "3/20", "3", "", None):
        assert not allowed(teacher, right, school_class, TODAY) or right == "account"
    assert allowed(teacher, right, "3/2", TODAY) == (right in MATRIX["teacher"] or right == "account")


@pytest.mark.parametrize("role", ROLES)
def test_whoever_has_a_class_is_bound_to_it(role: Role) -> None:
    person = Person("x", role, "3/2", until=TOMORROW)
    for right in MATRIX[role]:
        assert allowed(person, right, "3/2", TODAY)
        assert not allowed(person, right, "3/3", TODAY) and not allowed(person, right, None, TODAY)


@pytest.mark.parametrize("role", ROLES)
def test_after_the_last_day_a_role_is_nothing(role: Role) -> None:
    for until, passes in ((TODAY, True), (TOMORROW, True), (YESTERDAY, False)):
        person = Person("x", role, "3/2", until)
        assert may(person, "account", TODAY) == passes
        assert any(may(person, right, TODAY) for right in MATRIX[role]) == passes


def test_a_substitute_needs_a_last_day_and_teachers_need_a_class() -> None:
    assert not any(may(Person("x", "substitute", "3/2"), right, TODAY) for right in RIGHTS)
    for role in CLASS_ROLES:
        assert not any(may(Person("x", role, None, TOMORROW), right, TODAY) for right in RIGHTS)


@pytest.mark.parametrize("role", ["auditor", "dpo"])
def test_readers_change_nothing_whatever_the_table_says(role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MATRIX, role, frozenset(RIGHTS))  # type: ignore[arg-type]
    found = {right for right in RIGHTS if allowed(Person("x", role), right, None, TODAY)}
    assert found == READING | {"account"}


@pytest.mark.parametrize(
    ("role", "never"),
    [
        ("it", {"see-class", "see-pupil", "see-reasons", "see-onsite", "mark-class", "leave", "reports", "see-gate"}),
        ("kitchen", {"see-class", "see-pupil", "see-reasons", "see-onsite", "leave", "check-card", "reports"}),
        ("canteen", {"see-class", "see-pupil", "see-reasons", "see-onsite", "leave", "reports"}),
        ("accountant", {"see-reasons", "see-pupil", "leave", "mark-class"}),
        ("guard", {"see-reasons", "see-pupil", "leave", "mark-class", "see-class", "reports"}),
        ("supervisor", {"see-reasons", "leave", "mark-class"}),
        ("principal", {"users", "devices"}),
    ],
)
def test_what_a_role_never_has(role: Role, never: set[Right]) -> None:
    assert not MATRIX[role] & never


def test_a_token_has_no_account() -> None:
    assert not may(Person("x", "it", by_token=True), "account", TODAY)


# --- sessions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_a_session_ends_when_idle_and_at_last(role: Role) -> None:
    idle_ms, whole_ms = spans_ms(role)
    assert idle_ms < whole_ms
    made = 1_800_000_000_000
    assert stands(role, made, made, made)
    assert stands(role, made, made, made + idle_ms - 1) and not stands(role, made, made, made + idle_ms)
    used = made + whole_ms - 1
    assert stands(role, made, used, used) and not stands(role, made, used + 1, used + 1)


def test_a_clock_set_back_prolongs_no_session_beyond_its_whole_span() -> None:
    made = 1_800_000_000_000
    _, whole_ms = spans_ms("teacher")
    assert stands("teacher", made, made, made - HOUR_MS)
    assert not stands("teacher", made, made, made - whole_ms)


def test_failures_make_people_wait_longer_and_longer_up_to_a_bound() -> None:
    now, failures, waits = 1_800_000_000_000, None, []
    for _ in range(20):
        failures = failed(failures, now)
        waits.append(wait_ms(failures, FREE_BY_USER, now))
    assert waits[: FREE_BY_USER - 1] == [0] * (FREE_BY_USER - 1)
    assert waits[FREE_BY_USER - 1 : FREE_BY_USER + 2] == [FIRST_WAIT_MS, 2 * FIRST_WAIT_MS, 4 * FIRST_WAIT_MS]
    assert waits == sorted(waits) and waits[-1] == WAIT_MAX_MS
    assert failures is not None and wait_ms(failures, FREE_BY_USER, now + WAIT_MAX_MS) == 0
    assert failed(failures, now + FORGET_MS) == Failures(1, now + FORGET_MS)


@given(st.integers(0, 10**6), st.integers(-(10**13), 10**13))
def test_no_clock_makes_anybody_wait_longer_than_the_bound(count: int, passed_ms: int) -> None:
    now = 1_800_000_000_000
    assert 0 <= wait_ms(Failures(count, now), FREE_BY_USER, now + passed_ms) <= WAIT_MAX_MS


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("ngắn quá", "short"),
        ("a" * 201, "long"),
        ("abababababab", "plain"),
        ("Co.Lan mot hai ba", "name"),
        ("một câu ngắn dễ nhớ", None),
    ],
)
def test_what_is_no_password(password: str, problem: str | None) -> None:
    assert weakness(password, "co.lan") == problem
