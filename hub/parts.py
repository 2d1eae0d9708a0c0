"""The hub's store put together: the ledger and everything that lives in its file, for a running hub or a command."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

from host.durable import sync_folder
from host.machine import Machine
from hub.attendance.coverage import AWAKE_MS, words
from hub.attendance.evidence import Watermark
from hub.cards.holders import Holders
from hub.clock import HubClock
from hub.config import HubConfig
from hub.days.classbook import ClassBook, today_at
from hub.days.complaints import Complaints
from hub.days.daybook import Daybook
from hub.days.forecasts import Forecasts
from hub.days.kitchen import Kitchen
from hub.days.mealbook import MealBook
from hub.days.mealdesk import MealDesk
from hub.days.mealmonths import MealMonths, meal_days_told
from hub.days.mealoffice import MealOffice
from hub.days.office import Office
from hub.days.recompute import recompute_told
from hub.desks.cardview import CardBook
from hub.desks.desk import Desk, Outcome
from hub.desks.eraser import Eraser
from hub.desks.incidentdesk import INCIDENT_ACTIONS, IncidentDesk
from hub.desks.issuing import Issuing
from hub.desks.listdesk import IMPORT_ACTION, LIST_ACTIONS, ListDesk
from hub.desks.otherlists import OtherLists
from hub.desks.plandesk import PLAN_ACTIONS, PlanDesk
from hub.desks.userdesk import ACTIONS as USER_ACTIONS
from hub.desks.userdesk import UserDesk
from hub.parents.consents import Consents
from hub.releases import Releases
from hub.reporting.mealwords import MEAL_ACTIONS, MealWords
from hub.reporting.reportdesk import REPORT_ACTIONS, ReportDesk
from hub.reports.labels import labels_of
from hub.rostersync.mirror import Mirror
from hub.store.anchorrows import AnchorRows
from hub.store.auditrows import AuditRows
from hub.store.boardrows import BoardRows
from hub.store.cardrows import CardRows
from hub.store.counterrows import CounterRows
from hub.store.coveragerows import CoverageRows
from hub.store.database import Database
from hub.store.dayrows import DayRows
from hub.store.deskrows import DeskRows
from hub.store.devices import Devices
from hub.store.forwardrows import ForwardRows
from hub.store.incidentrows import IncidentRows
from hub.store.ledger import Ledger
from hub.store.listrows import ListRows
from hub.store.mealplanrows import MealPlanRows
from hub.store.messagerows import MessageRows
from hub.store.notes import CalendarBack, DietsBack, Notes, Regain
from hub.store.ownjournal import OwnJournal
from hub.store.peoplerows import PeopleRows
from hub.store.rosterrows import RosterRows
from hub.store.secrets import Secrets
from hub.store.sentrows import SentRows
from hub.store.sessionrows import SessionRows
from hub.store.syncrows import SyncRows
from hub.store.timetablerows import TimetableRows
from hub.store.userrows import UserRows
from hub.tls import page_address
from protocol.topics import hub_source

VERSION = "0.1.0"
FILE_NAME = "ledger.db"
COPY_NAME = "keys-copy.json"
"""A copy of keys and accepted devices beside the ledger, as `k12edge hub keys export` writes it, and as secret."""
TAKING = ("devices-retire", "keys-import")
"""What people ask for that takes back what the copy says."""


class Store:
    """All of it on one connection. The instance lock is the caller's."""

    def __init__(self, config: HubConfig, machine: Machine | None = None) -> None:
        """Open the file. `machine` tells the time, where given.

        Raises SchemaTooNew, LedgerFailed, LedgerFull, LabelsRefused; what a damaged file's rows lead to.
        """
        self.config = config
        self.clock = HubClock(config.time_source, config.declared_error_ms, machine)
        self.path = config.data_dir / FILE_NAME
        self.copying = threading.Lock()
        """Held by whoever writes the copy of the keys, or makes it wrong: what was true before isn't written after."""
        self.own: OwnJournal | None = None
        """This run's journal of the hub's own records, None until somebody needs one."""
        self.database = Database(self.path)
        try:
            self._furnish(config)
        except BaseException:
            self.database.close()
            raise

    def _furnish(self, config: HubConfig) -> None:
        self.ledger = Ledger(self.database)
        self.devices = Devices(self.database)
        self.secrets = Secrets(self.database)
        self.roster = RosterRows(self.database)
        self.anchors = AnchorRows(self.database)
        own = self.anchors.of(hub_source(config.school, config.hub_id)).boots.get(self.clock.boot())
        self.clock.rest_on([] if own is None else own.all())
        self.notes = Notes(self.database)
        self.forward = ForwardRows(self.ledger, self.anchors, config.city.hold_ms)
        self.cards = CardRows(self.ledger, self.anchors)
        self.people = PeopleRows(self.database)
        self.mealplans = MealPlanRows(self.database)
        self.counters = CounterRows(self.database)
        self.days = DayRows(self.database.connection)
        self.holders = Holders(self.days, self.secrets, self.devices, self.roster)
        self.releases = Releases(self.people, self.holders)
        self.sync = SyncRows(self.database)
        self.mirror = Mirror(ListRows(self.database, self.people), self.holders, self.roster)
        self.timetables = TimetableRows(self.database)
        self.messages = MessageRows(self.database)
        self.sent = SentRows(self.database)
        self.incidents = IncidentRows(self.database)
        self.labels = labels_of(config.labels)
        self.coverage = CoverageRows(self.ledger, self.anchors)
        self._known: tuple[tuple[object, ...], Sequence[Watermark]] | None = None
        self.daybook = Daybook(self)
        self.classbook = ClassBook(
            self.database,
            self.ledger,
            self.anchors,
            self.people,
            self.days,
            self.holders,
            self.timetables,
            self.words,
            self.clock.now_ms,
        )
        self.mealbook = MealBook(self)
        self.forecasts = Forecasts(self)
        self.kitchen = Kitchen(self)
        self.mealoffice = MealOffice(self)
        self.mealdesk = MealDesk(self)
        self.mealmonths = MealMonths(self)
        self.complaints = Complaints(self)
        self._furnish_desks(config)

    def _classes_today(self) -> list[str]:
        with self.database.lock:
            return self.people.classes(today_at(self.clock.now_ms()))

    def _furnish_desks(self, config: HubConfig) -> None:
        """What people work with, on top of the rows."""
        self.board = BoardRows(self.database)
        self.users = UserRows(self.database)
        self.sessions = SessionRows(self.database, self.users)
        self.audit = AuditRows(self.database, self.users)
        self.userdesk = UserDesk(
            page_address(config.web.tls, *config.listen, config.web.names),
            self.users,
            self.sessions,
            self.audit,
            self.clock,
            self._classes_today,
        )
        self.office = Office(
            self.database,
            self.daybook,
            self.people,
            self.days,
            self.holders,
            self.roster,
            self.secrets,
            self.counters,
            self.clock,
        )
        self.consents = Consents(self)
        self.listdesk = ListDesk(
            self.database, ListRows(self.database, self.people), self.roster, self.office, OtherLists(self), self.clock,
            lambda: self.userdesk.base,
        )  # fmt: skip
        self.deskrows = DeskRows(self.database)
        self.cardbook = CardBook(self)
        self.incidentdesk = IncidentDesk(self)
        self.issuing = Issuing(self, self.cardbook)
        self.desk = Desk(
            config.school,
            self.ledger,
            self.devices,
            self.secrets,
            self.releases,
            self.office,
            self.cards,
            self.clock,
            self._own,
        )

    def words(self, first_ms: int, until_ms: int, at_ms: int | None = None) -> Sequence[Watermark]:
        """What is known, of a day, of who holds all taps of it; under the ledger's lock.

        `at_ms`: by what gates had said until then.
        """
        connection = self.database.connection
        # The classes of a day are asked for one after the other. What isn't committed may never be, so isn't kept.
        asked = None if connection.in_transaction else (first_ms, until_ms, at_ms, connection.total_changes)
        if asked is not None and self._known is not None and self._known[0] == asked:
            return self._known[1]
        facts = self.coverage.facts(first_ms, until_ms)
        if at_ms is not None:
            facts = [replace(one, claims=tuple(claim for claim in one.claims if claim.at_ms <= at_ms)) for one in facts]
        found = tuple(words(facts, self.coverage.waivers(first_ms), first_ms, first_ms + AWAKE_MS))
        if asked is not None:
            self._known = asked, found
        return found

    def carry_out(self, action: str, words: Mapping[str, str | None]) -> Outcome:
        """See Desk.carry_out. A copy that says more than the ledger counts at a start, so it goes before it is wrong.

        Raises NeedsHands, OSError.
        """
        if action == "recompute":
            return Outcome(recompute_told(self, words))
        if action == "meal-days":
            return Outcome(meal_days_told(self, words), records=int(words.get("state") == "True"))
        if action == "retention":
            return Eraser(self).carry_out(words)
        if action == IMPORT_ACTION:
            return self.listdesk.bring(words)
        if action in LIST_ACTIONS:
            return Outcome(self.listdesk.carry_out(action, words))
        if action in REPORT_ACTIONS:
            return ReportDesk(self).carry_out(action, words)
        if action in MEAL_ACTIONS:
            return MealWords(self).carry_out(action, words)
        if action in PLAN_ACTIONS:
            return PlanDesk(self).carry_out(action, words)
        if action in INCIDENT_ACTIONS:
            return self.incidentdesk.carry_out(action, words)
        if action in USER_ACTIONS:
            return Outcome(self.userdesk.carry_out(action, words))
        if action not in TAKING:
            return self.desk.carry_out(action, words)
        with self.copying:
            (self.path.parent / COPY_NAME).unlink(missing_ok=True)
            sync_folder(self.path.parent)
            return self.desk.carry_out(action, words)

    def regaining(self) -> bool:
        """Whether records of this hub's own are still to come back from the city."""
        return self.config.city.kind == "k12records" and self.notes.read(Regain) is not None

    def calendar_in_doubt(self) -> CalendarBack | None:
        """See Notes.calendar_in_doubt."""
        with self.database.lock:
            return self.notes.calendar_in_doubt()

    def diets_in_doubt(self) -> DietsBack | None:
        """See Notes.diets_in_doubt; a school without counters has nobody to tell."""
        with self.database.lock:
            return self.notes.diets_in_doubt() if self.counters.sheet() else None

    def _own(self) -> OwnJournal:
        return self.own or self.open_own_journal()

    def open_own_journal(self) -> OwnJournal:
        """Begin this run's journal of the hub's own records."""
        self.own = self._begin_journal()
        return self.own

    def _begin_journal(self) -> OwnJournal:
        source = hub_source(self.config.school, self.config.hub_id)
        return OwnJournal(
            self.ledger, self.anchors, self.secrets.identity(), source, self.clock, self.clock.boot(), VERSION
        )
