"""Shrinking: of a plan that breaks a promise, the smallest part that still breaks the same one; told as a story."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from msgspec.structs import replace

from sim.world.faults import BY_NAME
from sim.world.plan import Fault, Plan
from sim.world.run import Outcome, run
from sim.world.school import MONDAY_NS, clock_words

RUNS_MAX: Final = 60


def shrink(outcome: Outcome, again: Callable[[Plan], Outcome] = run) -> Outcome:
    """Leave out faults, then pupils, then days, as long as the same rule is broken; at most RUNS_MAX runs."""
    rule, best, left = outcome.problems[0].rule, outcome, RUNS_MAX
    found = True
    while found and left > 0:
        found = False
        for smaller in _smaller(best.plan):
            left -= 1
            tried = again(smaller)
            if any(problem.rule == rule for problem in tried.problems):
                best, found = tried, True
                break
            if left <= 0:
                break
    return best


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans that leave something out, the boldest first."""
    faults, count = plan.faults, len(plan.faults)
    part = (count + 1) // 2
    while part >= 1:
        for start in range(0, count, part):
            yield replace(plan, faults=faults[:start] + faults[start + part :])
        part = part // 2
    if plan.pupils > 8:
        yield replace(plan, pupils=plan.pupils // 4)
        yield replace(plan, pupils=plan.pupils // 2)
    if plan.days > 1:
        last_day = max((int(fault.at_s // 86_400) + 1 for fault in faults), default=1)
        if last_day < plan.days:
            yield replace(plan, days=last_day)


def story(outcome: Outcome) -> list[str]:
    """What happened, line by line, for a person."""
    plan = outcome.plan
    lines = [f"{plan.pupils} pupils, {plan.days} days, noise {plan.noise}."]
    lines += [f"  {_when(fault)}: {BY_NAME[fault.kind].words}{_long(fault)}." for fault in plan.faults]
    lines += [
        f"  {clock_words(problem.at_ns, MONDAY_NS)}: BROKEN: {problem.rule}: {problem.detail}"
        for problem in outcome.problems[:5]
    ]
    return lines


def _when(fault: Fault) -> str:
    return clock_words(MONDAY_NS + int(fault.at_s * 1e9), MONDAY_NS)


def _long(fault: Fault) -> str:
    return f", for {fault.for_s:g} s" if fault.for_s else ""
