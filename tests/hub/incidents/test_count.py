"""The pack equals a brute-force count of the raw records, from the hub and from the journals, on random lunches."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from edge.pile import pile_of
from hub.incidents.asking import Scope
from hub.incidents.journals import Found, known_of
from hub.incidents.pack import Pack, incident_pack
from hub.meals.sittings import DAY_MS, Moment, midnight_of
from k12edge.incident import volumes_of
from protocol.cards import parse_card
from protocol.meals import ByHand
from tests.hub.handmade import Run
from tests.hub.incidents.schooldays import CARDS, DAY, STRANGE, Lunch, counted, eaters, journal_in, listed

LUNCH = Scope("meal", DAY, meal="lunch")


def random_lunch(school: Lunch, seed: int) -> None:
    """Sixty things that happen at two counters: cards, repeats, seconds, by hand, strangers, undone and done again."""
    random = Random(seed)
    taps: list[list[str]] = [[], []]
    strangers: list[list[str]] = [[], []]
    for step in range(60):
        counter, seconds = random.randrange(2), 60 * step + random.randrange(20)
        pupil = random.choice(list(CARDS))
        match random.randrange(9):
            case 0 | 1 | 2 | 3:
                taps[counter].append(school.serve(counter, CARDS[pupil], seconds, student=pupil))
                if random.random() < 0.3:
                    again = school.serve(counter, CARDS[pupil], seconds + 5, student=pupil, decision="repeated")
                    taps[counter].append(again)
            case 4:
                hand = ByHand("name", "co-hoa")
                taps[counter].append(school.serve(counter, "", seconds, student=pupil, hand=hand))
            case 5:
                strangers[counter].append(school.serve(counter, STRANGE, seconds, decision="refused"))
                if random.random() < 0.6:
                    hand = ByHand("stranger", "co-hoa", strangers[counter][-1])
                    taps[counter].append(school.serve(counter, "x", seconds + 9, hand=hand))
            case 6:
                taps[counter].append(school.serve(counter, f"y{step}", seconds, hand=ByHand("stranger", "co-hoa")))
            case 7 if taps[counter]:
                school.say(counter, random.choice(taps[counter]), random.choice(["undone", "done"]), seconds)
            case 8 if taps[counter]:
                school.say(counter, random.choice(taps[counter]), random.choice(["second", "repeat"]), seconds)
    for counter in (0, 1):
        school.mark(counter)


def unsure_run(school: Lunch, seed: int) -> Run:
    """A run of the second counter whose clock nobody set: its servings are perhaps of this meal."""
    random, run = Random(seed), Run(school.boxes[1].source, boot="00000bad").open(mono_ms=0, err_ms=None)
    for step, pupil in enumerate(random.sample(list(CARDS), 3)):
        school.serve(1, CARDS[pupil], 60 * step, student=pupil, err_ms=None, run=run)
    return run


def from_journals(*paths: Path) -> Pack:
    pile = pile_of(paths, midnight_of(DAY), midnight_of(DAY) + DAY_MS)
    found = Found(volumes_of(pile), pile.timelines, [(one.where, one.code, one.about) for one in pile.faults])
    return incident_pack(known_of(found, [(DAY, "lunch")]))


def times(pack: Pack, *but: str) -> dict[str, Moment]:
    """When each record was; of those in some lists a hub knows more: when they came."""
    return {line.record: line.when for line in pack.lines if line.when is not None and line.list not in but}


@pytest.mark.parametrize("seed", range(12))
def test_the_pack_of_a_random_lunch_is_what_a_count_of_the_raw_records_says(tmp_path: Path, seed: int) -> None:
    school = Lunch(tmp_path)
    random_lunch(school, seed)
    unsure = [unsure_run(school, seed)] if seed % 2 else []
    key = school.store.secrets.card_keys()[-1]
    cards = {key.keyed(parse_card(card)): pupil for pupil, card in CARDS.items()}
    expected = counted([*school.runs, *unsure], cards)
    assert ("maybe" in expected) == bool(unsure)
    for run in unsure:
        school.room.batch(school.boxes[1], school.boxes[1].batch(run))
    school.bring()
    at_hub = school.store.incidentdesk.look(LUNCH)
    assert listed(at_hub) == expected
    # A run that nobody went on with may have more than anybody knows.
    assert at_hub.complete == (not unsure), at_hub.known.origins
    # The same from the files, one of them there twice, and again with the strange card bound later.
    first = journal_in(tmp_path / "a", [school.runs[0]])
    second = journal_in(tmp_path / "b", [school.runs[1], *unsure])
    copy = journal_in(tmp_path / "copy", [school.runs[0]], "kept.db")
    alone = from_journals(first, second, copy)
    assert listed(alone) == expected
    assert eaters(alone) == eaters(at_hub)
    assert times(alone, "maybe") == times(at_hub, "maybe")
    school.store.office.card("-", "issued", STRANGE, "st-00", None)
    school.read()
    bound = school.store.incidentdesk.look(LUNCH)
    assert listed(bound) == counted([*school.runs, *unsure], cards | {key.keyed(parse_card(STRANGE)): "st-00"})
    # Everybody of the roll is in exactly one place: ate, or didn't.
    ate = bound.keys("eaten", "maybe")
    without = bound.keys("not-eaten")
    assert ate | without == set(CARDS) and not ate & without
    school.room.close()


def test_a_late_journal_makes_the_pack_complete_and_the_next_version_names_what_came(tmp_path: Path) -> None:
    school = Lunch(tmp_path)
    school.serve(0, CARDS["st-01"], 0, student="st-01")
    late = school.serve(1, CARDS["st-02"], 30, student="st-02")
    school.mark(0)
    school.mark(1)
    school.bring(0)
    desk = school.store.incidentdesk
    first = desk.make(LUNCH, "co-hieu-truong")
    assert not first.pack.complete and first.issue.number == 1 and first.issue.differences is None
    assert [one.name for one in first.pack.known.origins if not one.complete] == ["quay-b"]
    school.bring(1)
    second = desk.make(LUNCH, "co-hieu-truong")
    assert second.issue.number == 2
    told = [(one.change, one.what, one.after) for one in second.issue.differences or ()]
    assert ("new", f"{DAY.isoformat()} lunch {late}", "eaten st-02") in told
    assert ("gone", f"{DAY.isoformat()} lunch pupil st-02", "") in told
    assert ("complete", "quay-b", "") in told
    assert second.pack.complete
    school.room.close()


def test_a_clock_that_nobody_set_puts_a_serving_among_those_who_may_have_eaten(tmp_path: Path) -> None:
    school = Lunch(tmp_path)
    unsure = Run(school.boxes[1].source, boot="00000bad").open(mono_ms=0, err_ms=None)
    tap = school.serve(1, CARDS["st-03"], 60, student="st-03", err_ms=None, run=unsure)
    school.room.batch(school.boxes[1], school.boxes[1].batch(unsure))
    school.read()
    pack = school.store.incidentdesk.look(LUNCH)
    assert listed(pack) == {"maybe": {tap}}
    assert "st-03" not in pack.keys("not-eaten")
    alone = from_journals(journal_in(tmp_path / "b", [unsure]))
    assert listed(alone) == {"maybe": {tap}} and not alone.complete
    school.room.close()
