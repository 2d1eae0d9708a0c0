"""The pages of messages to parents: what waits, was sent or failed; and of whom parents may be told, pupil by pupil."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import quote

from fastapi import Form, Query
from fastapi.responses import RedirectResponse, Response

from hub.dayview.namesakes import called
from hub.messages.planning import MESSAGE_KINDS, MESSAGE_STATES
from hub.web.dayforms import HALVES, FormKey, shown_names, words
from hub.web.ground import Web
from hub.web.pages.cardpages import classes_of, name_of, pupil_here
from hub.web.registry import N_
from hub.web.visits import Visit, Visitor
from protocol.names import name_order

if TYPE_CHECKING:
    from hub.store.messagerows import Shown

ROWS: Final = 100
KINDS: Final = {
    "arrived": N_("đã đến"),
    "late": N_("đến muộn"),
    "left": N_("đã về"),
    "not-recorded": N_("chưa ghi nhận đến"),
    "corrected": N_("sửa lại tin trước"),
}
STATES: Final = {
    "waiting": N_("đang chờ"),
    "sent": N_("đã gửi"),
    "refused": N_("bị từ chối"),
    "expired": N_("hết hạn"),
    "cancelled": N_("đã bỏ"),
}
SINKS: Final = {
    "none": N_("Chưa gửi đi đâu"),
    "console": N_("Màn hình máy chủ (thử)"),
    "file": N_("Tệp trên máy chủ (thử)"),
    "webhook": N_("Dịch vụ nhắn tin (webhook)"),
}
TABLES: Final = (
    ("waiting", N_("Đang chờ"), ("waiting",)),
    ("failed", N_("Không gửi được"), ("refused", "expired")),
    ("done", N_("Đã gửi và đã bỏ"), ("sent", "cancelled")),
)
Given = Annotated[bool, Form()]
Class = Annotated[str | None, Query(alias="class", max_length=40)]


def add_message_pages(web: Web) -> None:
    """`/messages`, `/messages/consent`."""

    @web.page("/messages")
    def messages(visit: Visitor) -> Response:
        store = web.store
        with store.database.lock:
            counts, today = store.messages.counts(), store.messages.counts_by_kind(visit.today)
            tables = [(key, title, store.messages.page(states, ROWS)) for key, title, states in TABLES]
            consents, pupils = store.messages.consents(), store.people.all()
        known = {one.key for one in pupils if one.state != "left"}
        return web.show(
            visit,
            "messages.html",
            sink=web.say(visit, SINKS[store.config.messages.sink]),
            off=store.config.messages.sink == "none",
            trouble=web.status.whole()["troubles"].get("messages"),
            on=[kind for kind in MESSAGE_KINDS if kind == "corrected" or kind in store.config.messages.kinds],
            all_kinds=MESSAGE_KINDS,
            counts=counts,
            today=[(kind, [today.get((kind, state), 0) for state in MESSAGE_STATES]) for kind in MESSAGE_KINDS],
            states=MESSAGE_STATES,
            tables=[(key, web.say(visit, title), _named(web, visit, rows)) for key, title, rows in tables],
            consenting=len(consents & known),
            pupils=len(known),
            kind_words=words(web, visit, KINDS),
            state_words=words(web, visit, STATES),
            halves=words(web, visit, HALVES),
        )

    _add_consent(web)


def _add_consent(web: Web) -> None:
    @web.page("/messages/consent")
    def consent(visit: Visitor, school_class: Class = None) -> Response:
        store = web.store
        if school_class is None:
            return web.show(visit, "consentclasses.html", classes=classes_of(web, visit))
        with store.database.lock:
            pupils = list(store.people.of(visit.today, visit.today, school_class))
            callings = called(pupils, store.people.find, births=True)
            members = sorted({(one.key, one.name) for one in pupils}, key=lambda one: (name_order(one[1]), one[0]))
            said = store.messages.consents_of({key for key, _ in members})
        return web.show(
            visit,
            "consent.html",
            school_class=school_class,
            rows=[(key, callings[key], said.get(key)) for key, _ in members],
            names=shown_names(web, {by for _, _, by in said.values()}),
        )

    @web.form("/messages/consent", "messages", "consent", of="object")
    def enter(visit: Visitor, pupil: FormKey = "", given: Given = False) -> Response:
        found = pupil_here(web, visit, pupil)
        web.store.consents.enter(name_of(visit), found.key, given)
        school_class = quote(found.school_class, safe="/")
        return RedirectResponse(f"/messages/consent?class={school_class}#p-{found.key}", 303)


def _named(web: Web, visit: Visit, rows: list[Shown]) -> list[tuple[Shown, str]]:
    """Each message with its pupil's name, for whoever may see marks of that class; else without."""
    found, known = [], {}
    with web.store.database.lock:
        for row in rows:
            if row.pupil not in known:
                person = web.store.people.find(row.pupil, visit.today)
                seen = person is not None and visit.allows("see-pupil", person.school_class)
                known[row.pupil] = person.name if seen and person is not None else ""
            found.append((row, known[row.pupil]))
    return found
