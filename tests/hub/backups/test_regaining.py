"""What a city gives back: taken where chain and signed heads prove it, refused where not, and what is lost named."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from hub.backups.archivist import own_standing
from hub.backups.regainer import Regainer, described, ranges
from hub.backups.restoring import restore
from hub.config import HubConfig
from hub.parts import Store
from hub.store.notes import BackedUp, Regain, Regained
from protocol.envelope import decode_event, digest, encode_event
from protocol.errors import CityUnreachable
from protocol.taps import TapId
from tests.hub.backups.copies import backed_up, correction, enter, own_records
from tests.hub.handmade import Gateway, Run
from tests.hub.room import HubRoom, config_in


class City:
    """What a city holds, in pages; `fails` answers of it are none."""

    def __init__(self, raws: Sequence[bytes], page: int = 7) -> None:
        self.raws, self._page = list(raws), page
        self.asked = 0
        self.fails = 0

    def page(self, after: str | None) -> tuple[list[bytes], str | None]:
        self.asked += 1
        if self.fails:
            self.fails -= 1
            raise CityUnreachable("no answer")
        at = int(after or 0)
        end = at + self._page
        return self.raws[at:end], str(end) if end < len(self.raws) else None

    def close(self) -> None:
        return


PLAN = {"kind": "k12records", "url": "http://127.0.0.1:9"}


@pytest.fixture
def config(tmp_path: Path) -> HubConfig:
    """A hub with a city; people entered something in each of three runs, the last of which was killed."""
    made = config_in(tmp_path / "hub", city=PLAN)
    enter(made, range(30))
    enter(made, range(30, 60))
    enter(made, range(60, 70), sign=False)
    return made


def emptied(config: HubConfig) -> bytes:
    """The hub's data are gone; the key paper isn't, and the new hub has taken it over."""
    store = Store(config)
    paper = store.secrets.export(config.school, store.devices)[1]
    store.database.close()
    shutil.rmtree(config.data_dir)
    config.data_dir.mkdir()
    store = Store(config)
    with store.database.transaction():
        store.secrets.restore("paper", paper, config.school, store.devices, 0)
    store.database.close()
    return paper


def regain(config: HubConfig, city: City) -> Regained:
    store = Store(config)
    try:
        assert store.notes.read(Regain) is not None, "whoever takes keys over lacks what was entered under them"
        done = Regainer(store, city).regain()
        assert done is not None
        assert store.notes.read(Regain) is None
        assert store.notes.read(Regained) == done
        assert store.forward.window(0, 1000).owed == (), "what the city holds isn't sent there again"
        return done
    finally:
        store.database.close()


def test_all_that_the_city_holds_comes_back_once_whatever_the_order(config: HubConfig) -> None:
    before = own_records(config)
    raws = list(before.values())
    Random(3).shuffle(raws)
    emptied(config)
    done = regain(config, City(raws))
    assert own_records(config) == before
    assert done.own == {"attendance.correction": 70, "journal.opened": 3, "journal.head": 2}
    # Nothing was signed of the run that was killed, so nobody vouches for the last record of the one before it either.
    assert done.unsigned == 12
    assert (done.lost, done.refused, done.gateways) == ([], [], 0)
    assert "attendance.correction 70" in described(done)
    store = Store(config)
    books = store.ledger.books.of_device(None)
    assert all(book.city_held == book.held for book in books)
    assert own_standing(store, None) == {"records": 75, "at_city": 75, "in_backup": 0, "here_only": 0}
    store.database.close()


def test_what_a_backup_had_and_what_came_after_it(config: HubConfig, tmp_path: Path) -> None:
    made = backed_up(config, tmp_path / "stick")
    # Of the backup's own records the city lacks some: they are the hub's to send, as ever.
    held = own_records(config)
    late = enter(config, range(70, 90))
    everything = own_records(config)
    shutil.rmtree(config.data_dir)
    config.data_dir.mkdir()
    restore(config, made.folder, None, over=False, now_ms=0, say=lambda _: None)
    owed = [name for name in held if name.endswith(".5")]
    done = regain_some(config, City([raw for name, raw in everything.items() if name not in owed]))
    assert own_records(config) == everything
    assert done.own == {"attendance.correction": len(late), "journal.opened": 1, "journal.head": 1}
    store = Store(config)
    window = store.forward.window(0, 1000)
    assert sorted(one.event_id for one in window.owed) == sorted(owed)
    standing = own_standing(store, store.notes.read(BackedUp))
    assert standing == {"records": len(everything), "at_city": len(everything) - 3, "in_backup": 3, "here_only": 0}
    store.database.close()


def regain_some(config: HubConfig, city: City) -> Regained:
    store = Store(config)
    done = Regainer(store, city).regain()
    store.database.close()
    assert done is not None
    return done


def test_holes_are_named_also_by_what_later_records_say(config: HubConfig) -> None:
    before = own_records(config)
    first, second, third = dict.fromkeys(name.partition(".")[0] for name in before)
    gone = {f"{first}.{n}" for n in range(11, 18)}  # A hole.
    gone |= {f"{second}.{n}" for n in range(20, 40)}  # An end, which the run behind it names.
    emptied(config)
    done = regain(config, City([raw for name, raw in before.items() if name not in gone]))
    assert set(own_records(config)) == set(before) - gone
    assert done.lost == [f"{first} 11..17", f"{second} 20..32"]
    assert done.refused == []
    assert "saved here only" in described(done) and f"{first} 11..17" in described(done)
    assert third in {name.partition(".")[0] for name in own_records(config)}


def test_a_journal_of_which_nothing_came_back_is_named_by_the_next_one(config: HubConfig) -> None:
    before = own_records(config)
    first, second, _ = dict.fromkeys(name.partition(".")[0] for name in before)
    emptied(config)
    done = regain(config, City([raw for name, raw in before.items() if not name.startswith((first, second))]))
    assert done.lost == [f"{second} 1..32"]


def test_what_the_chain_does_not_name_is_refused_and_the_true_one_taken_later(config: HubConfig) -> None:
    before = own_records(config)
    first = next(iter(before)).partition(".")[0]
    raws = list(before.values())
    forged = forged_at(before, first, 9)
    place = raws.index(before[f"{first}.9"])
    raws[place] = forged
    emptied(config)
    done = regain(config, City(raws, page=1000))
    assert f"{first}.9" not in own_records(config)
    assert forged not in own_records(config).values()
    assert done.refused == [f"{first} 9: not what the chain names"]
    assert done.lost == [f"{first} 9..9"]
    # Below it nobody vouches for anything any more, and it counts as it is.
    assert f"{first}.8" in own_records(config)
    store = Store(config)
    store.carry_out("regain", {})
    store.database.close()
    done = regain(config, City(before.values()))
    assert own_records(config) == before
    assert done.own == {"attendance.correction": 1}


def forged_at(before: dict[str, bytes], journal: str, sequence: int) -> bytes:
    """Another pupil in a record, all else as it was."""
    true = decode_event(before[f"{journal}.{sequence}"])
    return encode_event(
        TapId(journal, sequence),
        source=true.source,
        kind=true.name,
        time_ms=0,
        recorded_ms=0,
        prev=true.prev,
        data=correction(999),
    )


def test_a_city_that_holds_other_bytes_of_what_is_here_is_told_and_changes_nothing(config: HubConfig) -> None:
    before = own_records(config)
    first = next(iter(before)).partition(".")[0]
    store = Store(config)
    store.carry_out("regain", {})
    store.database.close()
    done = regain_some(config, City([forged_at(before, first, 9)]))
    assert own_records(config) == before
    assert done.own == {}
    store = Store(config)
    alarms = store.database.connection.execute("SELECT code FROM alarms WHERE code = 'record-forked'").fetchall()
    book = store.ledger.books.find(first)
    store.database.close()
    assert len(alarms) == 1
    assert book is not None and 9 not in book.city_held


def test_another_hubs_records_under_our_name_are_refused(config: HubConfig) -> None:
    before = own_records(config)
    # A hub without the key paper has other keys than the one that signed.
    shutil.rmtree(config.data_dir)
    config.data_dir.mkdir()
    store = Store(config)
    store.carry_out("regain", {})
    store.database.close()
    done = regain(config, City(before.values()))
    assert own_records(config) == {}
    assert len(done.refused) == 3 and all("signed by another key" in one for one in done.refused)


def test_a_city_that_fails_and_a_hub_that_is_killed_between_two_pages_begin_anew(config: HubConfig) -> None:
    before = own_records(config)
    emptied(config)
    city = City(before.values())

    class Killed(Exception):
        pass

    class Dying(City):
        def page(self, after: str | None) -> tuple[list[bytes], str | None]:
            if self.asked == 6:
                raise Killed
            return super().page(after)

    store = Store(config)
    with pytest.raises(Killed):
        Regainer(store, Dying(before.values())).regain()
    store.database.close()
    assert 0 < len(own_records(config)) < len(before)
    store = Store(config)
    worker = Regainer(store, city)
    city.fails = 2
    assert worker.turn() == 5 and worker.trouble == "city-unreachable"
    assert worker.turn() == 10
    assert worker.turn() == 30 and worker.trouble is None
    note = store.notes.read(Regained)
    assert not worker.wanted() and worker.turn() == 30
    store.database.close()
    assert own_records(config) == before
    assert note is not None and note.own["attendance.correction"] == 70, "counted once, over both walks"


def test_what_gateways_pruned_comes_back_and_strangers_do_not(tmp_path: Path) -> None:
    room = HubRoom(tmp_path / "hub")
    gateway, stranger = Gateway(), Gateway("la")
    room.known(gateway)
    run, lone = gateway.run(30), stranger.run(3)
    gateway_head(gateway, run)
    run.taps(4)
    # The gateway still has what came after its checkpoint, and offers that.
    lines = list(run.lines)
    room.batch(gateway, gateway.batch(run, 25))
    held = [state for state in room.store.ledger.books.all() if state.journal == run.journal]
    assert held[0].holes() == [(1, 24)]
    with room.store.database.transaction():
        room.store.ledger.books.change(held[0]).pruned_through = 20
    assert held[0].holes() == [(21, 24)], "what a gateway pruned the city holds, and isn't missing"
    with room.store.database.transaction():
        room.store.notes.write(Regain(0))
    done = Regainer(room.store, City([*lines[:12], *lines[13:], *lone.lines, b"{}", b"nonsense"])).regain()
    assert done is not None
    assert done.gateways == 23
    assert done.lost == [f"{run.journal} 13..13"], "pruned there, and the city hasn't got it"
    assert [raw for name, raw in sorted(room.events(), key=number)] == [*lines[:12], *lines[13:]]
    assert room.store.ledger.books.find(lone.journal) is None
    # Its receipt says that hub and city have it; nothing of it is asked for again.
    marks = room.store.ledger.mark(held[0]), room.store.ledger.city_mark(held[0])
    assert [mark.through for mark in marks] == [len(lines)] * 2
    assert marks[1].missing == [(13, 13)]
    room.close()


def number(entry: tuple[str, bytes]) -> int:
    return int(entry[0].rpartition(".")[2])


def gateway_head(gateway: Gateway, run: Run) -> None:
    through, head = len(run.lines), digest(run.lines[-1])
    text = f"k12edge.head.v1\n{run.journal}\n{through}\n{head}".encode("ascii")
    run.add("journal.head", {"through": through, "head": head, "sig": gateway.identity.sign(text)})


def test_the_run_before_is_named_though_older_ones_came_back_behind_it(config: HubConfig) -> None:
    before = own_records(config)
    emptied(config)
    names = enter(config, range(1))
    regain_some(config, City(before.values()))
    store = Store(config)
    own = store.open_own_journal()
    opened = decode_event(store.ledger.raw_at(own.book, 1) or b"")
    store.database.close()
    assert names[0].partition(".")[0].encode() in bytes(opened.data)


def test_ranges_are_told_shortly() -> None:
    assert ranges([9, 3, 4, 5]) == "3..5, 9"


def test_whose_taps_were_is_not_told_anew_as_long_as_the_old_words_may_come_back(tmp_path: Path) -> None:
    room = HubRoom(tmp_path / "hub")
    gateway = Gateway()
    room.known(gateway)
    room.batch(gateway, gateway.batch(gateway.run(5)))
    daybook = room.store.daybook
    with room.store.database.transaction():
        room.store.notes.write(Regain(0))
    while daybook.catch_up(100):
        pass
    assert daybook.attribute(100) == 0
    assert Regainer(room.store, City([])).regain() is not None
    assert daybook.attribute(100) > 0
    room.close()


def test_an_older_ledger_put_in_place_by_hand_has_an_older_calendar(config: HubConfig, tmp_path: Path) -> None:
    older = (config.data_dir / "ledger.db").read_bytes()
    enter(config, range(70, 80))
    everything = list(own_records(config).values())
    for path in config.data_dir.glob("ledger.db*"):
        path.unlink()
    (config.data_dir / "ledger.db").write_bytes(older)
    store = Store(config)
    assert store.calendar_in_doubt() is None
    store.carry_out("regain", {})
    assert Regainer(store, City(everything)).regain() is not None
    assert store.calendar_in_doubt() is not None and store.notes.diets_in_doubt() is not None
    with store.database.transaction():
        store.timetables.confirm(store.clock.now_ms(), "lan")
        store.notes.confirm_diets(store.clock.now_ms(), "y-ta")
    store.carry_out("regain", {})
    assert Regainer(store, City(everything)).regain() is not None
    assert store.calendar_in_doubt() is None, "what was looked at is looked at once"
    assert store.notes.diets_in_doubt() is None
    store.database.close()
