"""The tables of a pack: every text ready for a sheet, a page or a row; nothing left to decide. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from hub.incidents.compare import comparison, ticks_of
from hub.incidents.pack import LISTS, Line, List, Pack
from hub.incidents.versions import Difference
from hub.incidents.words import (
    CHANGE_WORDS,
    DRILL,
    LIST_WORDS,
    MEAL_WORDS,
    PORTION_WORDS,
    SHEET_WORDS,
    UNBOUNDED_MS,
    WORDS,
    bounds_text,
    clock_text,
    meal_text,
    origin_text,
)
from hub.meals.sittings import Moment
from hub.reports.words import Language, class_text, day_text, moment_text
from protocol.envelope import rfc3339

Cell = str | int | float
DIFFERENCES_TOLD: Final = 200
"""Differences that a summary spells out; beyond them it says how many more there are."""
Origin = Literal["hub", "journals"]


@dataclass(frozen=True, slots=True)
class Issue:
    """What a pack says of itself: which version, whose, when and how long it took to make; `drill`: an exercise."""

    number: int
    school: str
    made_ms: int
    by: str
    took_ms: int = 0
    drill: bool = False
    asked: str = ""
    origin: Origin = "hub"
    differences: tuple[Difference, ...] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A sheet, or some pages. `widths` in mm, of a page across (277 mm within its margins)."""

    name: str
    title: str
    header: tuple[str, ...]
    widths: tuple[float, ...]
    rows: tuple[tuple[Cell, ...], ...]


WIDTHS: Final = (10, 14, 46, 36, 24, 26, 34, 10, 10, 33, 34)
assert sum(WIDTHS) == 277


def heading(pack: Pack, issue: Issue, language: Language) -> str:
    """What the pack is of: its meals, its version; a drill says so first."""
    words = WORDS[language]
    asked = pack.known.asked
    told = [meal_text(language, meal, day) for day, meal in asked]
    meals = ", ".join(told) if len(told) < 3 else f"{told[0]} … {told[-1]}"
    about = f" ({issue.asked})" if issue.asked else ""
    drill = f"{DRILL[language]} · " if issue.drill else ""
    return f"{drill}{words['title']} · {meals}{about} · {words['version']} {issue.number}"


def standing(pack: Pack, language: Language) -> str:
    """Whether all is here, in two words."""
    return WORDS[language]["complete" if pack.complete else "incomplete"]


def tables(pack: Pack, issue: Issue, language: Language = "vi") -> list[Table]:
    """The summary, the comparison where somebody is ticked ill, and each list that has lines."""
    found = [_summary(pack, issue, language)]
    rows = tuple(_comparison(pack, language))
    if rows:
        found.append(_comparison_table(pack, rows, language))
    for name in LISTS:
        lines = list(pack.of(name))
        if lines:
            found.append(_list_table(pack, name, lines, language))
    return found


# --- the summary --------------------------------------------------------------------------------------------------


def _summary(pack: Pack, issue: Issue, language: Language) -> Table:
    words = WORDS[language]
    rows = tuple((item, value) for item, value in _summary_rows(pack, issue, language))
    title = SHEET_WORDS[language]["summary"]
    return Table(title, title, (words["item"], words["value"]), (70, 207), rows)


def _summary_rows(pack: Pack, issue: Issue, language: Language) -> Iterator[tuple[str, Cell]]:
    words = WORDS[language]
    yield words["school"], issue.school
    yield words["version"], issue.number
    yield words["made"], moment_text(issue.made_ms)
    yield words["maker"], issue.by
    yield words["took"], round(issue.took_ms / 1000, 1)
    yield standing(pack, language), words[f"from-{issue.origin}"]
    for origin in pack.known.origins:
        if origin.complete and origin.complete_to_ms is not None:
            yield f"  {origin.name}", words["origin-complete"].format(moment=moment_text(origin.complete_to_ms))
        else:
            yield f"  {origin.name}", words["origin-missing"].format(words=origin_text(origin.words, language) or "?")
    if not pack.known.origins:
        yield "  –", words["nothing-missing"]
    if issue.origin == "journals":
        yield f"  {words['hub']}", words["origin-missing"].format(words=words["hub-only"])
    counts = pack.counts()
    yield words["pupils"], counts["pupils"]
    for name in LISTS:
        yield LIST_WORDS[language][name], counts[name]
    for day, meal in pack.known.asked:
        menu, span = pack.known.menus.get((day, meal)), pack.spans.get((day, meal))
        if menu is None and span is None:
            continue
        yield meal_text(language, meal, day), "" if menu is None else menu.text
        if menu is not None:
            yield f"  {words['lots']}", ", ".join(menu.lots)
            yield f"  {words['sample']}", ", ".join(menu.samples)
        yield f"  {words['ended']}", "–" if span is None else moment_text(span[1])
    yield from _differences(issue, language)


def _differences(issue: Issue, language: Language) -> Iterator[tuple[str, Cell]]:
    words = WORDS[language]
    if issue.differences is None:
        yield words["difference"], words["first"]
        return
    if not issue.differences:
        yield words["difference"], words["no-difference"]
    for one in issue.differences[:DIFFERENCES_TOLD]:
        text = CHANGE_WORDS[language][one.change].format(what=one.what, before=one.before, after=one.after)
        yield words["difference"], text
    if len(issue.differences) > DIFFERENCES_TOLD:
        yield words["difference"], f"+ {len(issue.differences) - DIFFERENCES_TOLD}"


# --- ill and well -------------------------------------------------------------------------------------------------


def _comparison_table(pack: Pack, rows: tuple[tuple[Cell, ...], ...], language: Language) -> Table:
    words = WORDS[language]
    ticked = "compared-ticked" if any(not sick for sick in pack.known.ill.values()) else "compared-all"
    title = f"{SHEET_WORDS[language]['comparison']} · {words['compared']} ({len(ticks_of(pack))}): {words[ticked]}"
    header = (
        words["kind"],
        words["meal"],
        "",
        *(f"{words[side]}: {words[what]}" for side in ("had", "not-had") for what in ("sick", "well", "rate")),
        words["points"],
    )
    return Table(
        SHEET_WORDS[language]["comparison"],
        f"{title}. {words['caution']}",
        header,
        (20, 45, 72, 20, 20, 20, 20, 20, 20, 20),
        rows,
    )


def _comparison(pack: Pack, language: Language) -> Iterator[tuple[Cell, ...]]:
    words = WORDS[language]
    meals = {f"{day.isoformat()} {meal}": meal_text(language, meal, day) for day, meal in pack.known.asked}
    for row in comparison(pack):
        yield (
            words[f"by-{row.by}"],
            meals[row.meal],
            PORTION_WORDS[language].get(row.label, row.label),
            *(
                cell
                for rate in (row.had, row.not_had)
                for cell in (rate.ill, rate.well, "" if rate.percent is None else round(rate.percent, 1))
            ),
            "" if row.difference is None else round(row.difference, 1),
        )


# --- the lists ----------------------------------------------------------------------------------------------------


def _list_table(pack: Pack, name: List, lines: Sequence[Line], language: Language) -> Table:
    words = WORDS[language]
    several = len(pack.known.asked) > 1
    header = tuple(
        words[column]
        for column in (
            "number", "class", "name", "teacher", "time", "bounds", "counter", "shift", "nth", "how", "note",
        )
    )  # fmt: skip
    rows = tuple(_row(line, number, language, several=several) for number, line in enumerate(lines, 1))
    title = f"{LIST_WORDS[language][name]}: {len(lines)}"
    return Table(SHEET_WORDS[language][name], title, header, WIDTHS, rows)


def _row(line: Line, number: int, language: Language, *, several: bool) -> tuple[Cell, ...]:
    time = "" if line.when is None else clock_text(line.when.best_ms)
    if several:
        time = f"{MEAL_WORDS[language][line.meal]} {line.day:%d/%m} {time}".rstrip()
    return (
        number,
        "" if line.who is None else line.who.school_class,
        whom(line),
        "" if line.who is None else line.who.teacher,
        time,
        "" if line.when is None else bounds_text(line.when, language),
        line.counter,
        line.shift,
        line.nth if line.when is not None else "",
        how_text(line, language),
        note(line, language),
    )


def whom(line: Line) -> str:
    """A name; where there is none the key, the adult, or the card."""
    if line.who is not None:
        return line.who.name or line.who.key
    return line.adult or line.card


def how_text(line: Line, language: Language) -> str:
    """How it was recorded, and by whom where a person did."""
    words = WORDS[language]
    text = words[f"how-{line.how}"]
    return text if line.by in ("", "-") else f"{text}, {words['by'].format(by=line.by)}"


def note(line: Line, language: Language) -> str:
    """What else is to be known of a line."""
    words = WORDS[language]
    parts = []
    if line.ill is not None:
        parts.append(words["sick" if line.ill else "well"])
    if line.list == "not-eaten":
        parts.append(words[line.presence])
    if line.who is not None and line.who.portion:
        parts.append(PORTION_WORDS[language].get(line.who.portion, line.who.portion))
    if line.unsure:
        parts.append(words["unsure"])
    return ", ".join(parts)


# --- one row a line, for programs and spreadsheets ------------------------------------------------------------------


def flat_header(language: Language, *, drill: bool) -> list[str]:
    """The columns of the CSV; a drill's rows say so in their first one."""
    words = WORDS[language]
    names = (
        "list", "day", "meal", "shift", "class", "name", "code", "key", "teacher", "best", "from", "to", "counter",
        "nth", "how", "portion", "ill", "note", "card", "record",
    )  # fmt: skip
    return [*([DRILL[language]] if drill else []), *(words[name] for name in names)]


def flat_rows(pack: Pack, issue: Issue, language: Language) -> Iterator[list[Cell]]:
    """The summary's rows, then every line of every list."""
    first: list[Cell] = [DRILL[language]] if issue.drill else []
    width = len(flat_header(language, drill=False))
    label = SHEET_WORDS[language]["summary"]
    for item, value in [
        (WORDS[language]["title"], heading(pack, issue, language)),
        *_summary_rows(pack, issue, language),
    ]:
        yield [*first, label, "", "", "", "", item.strip(), value, *[""] * (width - 7)]
    for row in _comparison(pack, language):
        yield [*first, SHEET_WORDS[language]["comparison"], "", *row, *[""] * (width - 2 - len(row))]
    for line in pack.lines:
        yield [*first, *_flat(line, language)]


def _flat(line: Line, language: Language) -> list[Cell]:
    who, when = line.who, line.when
    portion = "" if who is None else PORTION_WORDS[language].get(who.portion, who.portion)
    return [
        LIST_WORDS[language][line.list],
        day_text(line.day),
        MEAL_WORDS[language][line.meal],
        line.shift,
        "" if who is None or not who.school_class else class_text(language, who.school_class),
        whom(line) if who is not None or line.adult else "",
        "" if who is None else who.code,
        "" if who is None else who.key,
        "" if who is None else who.teacher,
        *_moments(when),
        line.counter,
        line.nth if when is not None else "",
        how_text(line, language),
        portion,
        "" if line.ill is None else WORDS[language]["sick" if line.ill else "well"],
        note(line, language),
        line.card,
        line.record,
    ]


def _moments(when: Moment | None) -> list[str]:
    """The best time and its bounds, RFC 3339; empty where there is none."""
    if when is None:
        return ["", "", ""]
    moments = (when.best_ms, when.not_before_ms, when.not_after_ms)
    return ["" if abs(moment - when.best_ms) > UNBOUNDED_MS else rfc3339(moment) for moment in moments]
