"""Pages of cards: the school's, a class's, a pupil's; cards of nobody; whether a card held to a desk is good."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import Form, Query
from fastapi.responses import RedirectResponse, Response

from hub.access.rights import Right, bound
from hub.days.office import BY_CHARACTERS_MAX, EntryRefused
from hub.dayview.namesakes import called
from hub.desks.cardview import Reach, reach
from hub.web.doorman import person_of
from hub.web.errors import Refusal
from hub.web.ground import Web
from hub.web.registry import N_
from hub.web.visits import Visit, Visitor
from protocol.names import class_order, found_by, name_order
from protocol.taps import parse_tap_id

if TYPE_CHECKING:
    from hub.store.dayrows import TapRow
    from hub.store.peoplerows import Person

Key = Annotated[str, Form(max_length=64)]
Text = Annotated[str, Form(max_length=80)]
FOUND_MAX: Final = 50
"""Pupils that a search shows; more than one types another letter for."""
HELD_MS: Final = 10 * 60_000
"""A card that was held to a desk so long ago is still offered to be bound; see `held`."""
HELD_MAX: Final = 8
SAID: Final = {
    "lost": N_("Đã báo mất. Thẻ bị chặn ở thiết bị ngay khi thiết bị nhận danh sách mới."),
    "found": N_("Đã mở lại thẻ."),
    "returned": N_("Đã thu thẻ."),
    "bound": N_("Đã gắn thẻ."),
    "refused": N_("Thẻ này không gắn được: số thẻ không đầy đủ, không phải số thẻ, hoặc học sinh không còn ở trường."),
    "taken": N_("Thẻ này đang là của một học sinh khác. Muốn chuyển, hãy thu thẻ ở trang của học sinh đó trước."),
    "blocked": N_("Thẻ này đã được báo mất. Hãy mở lại thẻ ở trang của học sinh đó trước."),
    "staffs": N_("Thẻ này là của người đứng quầy, dùng để nhận ca. Hãy dùng thẻ khác."),
    "not-theirs": N_("Thẻ này không còn là của học sinh này."),
}
"""What a page says of what was done, by the word in its address."""
Change = Annotated[Literal["found", "returned"], Form()]
Issue = Annotated[Literal["issued", "temporary"], Form()]


def add_card_pages(web: Web) -> None:
    """`/cards` and what hangs on it, but for the desk."""
    _add_school(web)
    _add_class(web)
    _add_pupil(web)
    _add_changes(web)
    _add_binding(web)
    _add_check(web)


def name_of(visit: Visit) -> str:
    """Who enters something."""
    return person_of(visit).signature[:BY_CHARACTERS_MAX]


def pupil_here(web: Web, visit: Visit, key: str, right: Right | None = None) -> Person:
    """A pupil whom the visitor may ask about, by the class of today; else a refusal, also of one who isn't here."""
    with web.store.database.lock:
        found = web.store.people.find(key, visit.today)
    visit.must(None if found is None else found.school_class, key[:64], right)
    if found is None:
        raise Refusal(404, "no-student", "There is no such pupil.")
    return found


def reached(web: Web) -> Reach:
    """How far the release in force has come."""
    with web.store.database.lock:
        return reach(web.status.devices(), web.store.roster.since())


def classes_of(web: Web, visit: Visit) -> list[str]:
    """The classes of today, in their order."""
    with web.store.database.lock:
        return sorted(web.store.people.classes(visit.today), key=class_order)


def tap_named(web: Web, text: str) -> TapRow | None:
    """The tap of a record's id; under the lock."""
    name = parse_tap_id(text)
    book = None if name is None else web.store.ledger.books.find(name.journal)
    return None if name is None or book is None else web.store.days.tap(book.number, name.sequence)


def _to_pupil(key: str, said: str) -> Response:
    return RedirectResponse(f"/cards/pupil?pupil={key}&said={said}", 303)


def _not_done(visit: Visit, key: str, said: str) -> Response:
    visit.failed(EntryRefused.code)
    return _to_pupil(key, said)


def _add_school(web: Web) -> None:
    @web.page("/cards")
    def cards(visit: Visitor) -> Response:
        with web.store.database.lock:
            unknown = web.store.cardbook.unknown(visit.today)
        return web.show(visit, "cards.html", unknown=unknown, reach=reached(web), classes=classes_of(web, visit))

    @web.form("/cards/find", "cards", "find pupil")
    def find(visit: Visitor, q: Text = "", tap: Key = "") -> Response:
        """Sent as a form: a name doesn't stand in an address."""
        found: list[Person] = []
        with web.store.database.lock:
            if q.strip():
                people = (
                    one for one in web.store.people.all(visit.today) if one.state != "left" and found_by(q, one.name)
                )
                found = sorted(people, key=lambda one: (name_order(one.name), class_order(one.school_class)))
            counts = web.store.cardbook.open_cards()
        title = web.say(visit, N_("Tìm học sinh"))
        return web.show(
            visit, "cardfind.html", title=title, q=q, tap=tap, found=found[:FOUND_MAX], more=len(found) > FOUND_MAX,
            counts=counts,
        )  # fmt: skip


def _add_class(web: Web) -> None:
    @web.page("/cards/class")
    def of_class(visit: Visitor) -> Response:
        lines: list[tuple[Person, Any]] = []
        if visit.school_class:
            with web.store.database.lock:
                book = web.store.cardbook
                members = book.members(visit.school_class, visit.today)
                births = visit.may("see-class") or visit.may("roster")
                names = called(members, web.store.people.find, births=births)
                lines = [(replace(one, name=names[one.key]), book.of(one.key)) for one in members]
        choice = [] if bound(person_of(visit)) else classes_of(web, visit)
        return web.show(visit, "cardclass.html", lines=lines, classes=choice)


def _add_pupil(web: Web) -> None:
    @web.page("/cards/pupil")
    def pupil(
        visit: Visitor,
        pupil: Annotated[str, Query(max_length=64)] = "",
        said: Annotated[str, Query(max_length=20)] = "",
        home: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    ) -> Response:
        person = pupil_here(web, visit, pupil)
        with web.store.database.lock:
            book = web.store.cardbook
            lines, history = book.of(person.key), book.history(person.key)
            held = _held(web, visit) if visit.allows("cards", person.school_class) else []
        told = SAID.get(said)
        return web.show(
            visit, "cardpupil.html", pupil=person, lines=lines, history=history, held=held, reach=reached(web),
            said=said, home=home, told=None if told is None else web.say(visit, told),
        )  # fmt: skip


def _held(web: Web, visit: Visit) -> list[dict[str, Any]]:
    """Cards of nobody that were just held to a desk, newest first: to be bound by a button."""
    found: dict[str, dict[str, Any]] = {}
    for device, tap in web.store.deskrows.since(visit.now_ms - HELD_MS, 40):
        card = web.store.cardbook.found(tap.card)
        if card.state in ("unknown", "returned", "replaced") and card.name is not None and card.name not in found:
            journal = web.store.ledger.books.numbered(tap.journal).journal
            found[card.name] = {
                "tap": f"{journal}.{tap.sequence}", "tail": card.tail, "desk": f"{device}/{tap.point}",
                "at_ms": tap.best_ms,
            }  # fmt: skip
    return list(found.values())[:HELD_MAX]


def _add_changes(web: Web) -> None:
    def changed(visit: Visit, person: Person, name: str, change: Any) -> Response:
        with web.store.database.lock:
            card = web.store.cardbook.card_of(name)
        try:
            if card is None:
                raise EntryRefused("the card isn't known here")
            web.store.office.card(name_of(visit), change, card, person.key)
        except EntryRefused:
            return _not_done(visit, person.key, "not-theirs")
        visit.note(f"card {change}", person.key)
        return _to_pupil(person.key, change)

    @web.form("/cards/lost", "block-card", "card lost", of="object")
    def lost(visit: Visitor, pupil: Key = "", card: Key = "") -> Response:
        return changed(visit, pupil_here(web, visit, pupil), card, "lost")

    @web.form("/cards/change", "cards", "card changed", of="object")
    def change(visit: Visitor, pupil: Key = "", card: Key = "", change: Change = "returned") -> Response:
        return changed(visit, pupil_here(web, visit, pupil), card, change)


def _add_binding(web: Web) -> None:
    @web.form("/cards/bind", "cards", "card bound", of="object")
    def bind(visit: Visitor, pupil: Key = "", tap: Key = "", change: Issue = "issued", replaces: Key = "") -> Response:
        """The card of a tap becomes a pupil's; one that it replaces ends."""
        person = pupil_here(web, visit, pupil)
        if person.state == "left":
            return _not_done(visit, person.key, "refused")
        book, by = web.store.cardbook, name_of(visit)
        with web.store.database.transaction():
            found = tap_named(web, tap)
            card = None if found is None else book.card_of(found.card)
            if found is None or card is None:
                return _not_done(visit, person.key, "refused")
            now = book.found(found.card)
            if now.state in ("good", "temporary", "left") and now.pupil != person.key:
                return _not_done(visit, person.key, "taken")
            if now.state == "lost":
                return _not_done(visit, person.key, "blocked")
            if card in web.store.counters.cards():
                return _not_done(visit, person.key, "staffs")
            try:
                _, home = web.store.office.card(by, change, card, person.key, book.since_ms(card, change))
                old = book.card_of(replaces) if replaces else None
                if old is not None and old != card:
                    web.store.office.card(by, "replaced", old, person.key)
            except EntryRefused:
                return _not_done(visit, person.key, "refused")
        visit.note(f"card {change}", person.key)
        return RedirectResponse(f"/cards/pupil?pupil={person.key}&said=bound&home={home}", 303)


def _add_check(web: Web) -> None:
    @web.page("/cards/check")
    def check(visit: Visitor) -> Response:
        """The cards that were just held to desks: what each is; whose, where the visitor may know."""
        # Whoever is bound to a class sees names of that class only.
        visit.must(person_of(visit).school_class, "")
        shown = []
        with web.store.database.lock:
            for device, tap in web.store.deskrows.since(visit.now_ms - HELD_MS, HELD_MAX):
                card = web.store.cardbook.found(tap.card)
                person = None if card.pupil is None else web.store.people.find(card.pupil, visit.today)
                mine = person is not None and visit.allows("check-card", person.school_class)
                shown.append((device, tap, card, person if mine else None))
        return web.show(visit, "cardcheck.html", shown=shown)
