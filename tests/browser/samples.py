"""Samples: the hub that the browser walks over, filled so that each page has something to show, and addresses for pages
with a variable part."""

from __future__ import annotations

from collections.abc import Mapping

from hub.access.rights import ROLES, Role
from hub.days.office import HalfDayOf
from hub.incidents.asking import Scope
from tests.browser.mealsamples import furnish_meals
from tests.browser.officesamples import furnish_office
from tests.hub.web.dayhub import DAY, STRANGE, DayHub
from tests.hub.web.pagehub import CLASS


def furnish(hub: DayHub) -> Mapping[str, str]:
    """Fill a hub; path as written in the registry -> address. Every page of an object needs one."""
    link = hub.ask("user-add", name="lan.dau", role="nurse", shown="Nguyễn Thị Lần Đầu").splitlines()[-1]
    hub.ask("user-add", name="da.nghi", role="guard", shown="Trần Văn Nghỉ")
    hub.ask("user-revoke", name="da.nghi")
    school_day(hub)
    hub.ask("token-add", role="auditor", name="Phần mềm khác")
    hub.store.carry_out("devices-accept", {"device": "cong-truoc", "fingerprint": None})
    with hub.store.database.transaction():
        hub.store.ledger.park_message("cong-truoc", b"?", "bad-batch", "", 0)
    day = {"/first/{secret}": link.removeprefix(hub.url), "/pupil/{key}": "/pupil/st-3-2-0"}
    return {**day, **furnish_office(hub), **furnish_reports(hub), **furnish_meals(hub)}


def furnish_reports(hub: DayHub) -> Mapping[str, str]:
    """A consent, a message that failed, and the reports' pages with what they ask for."""
    store = hub.store
    store.consents.enter("van.thu", "st-3-2-1", True)
    with store.database.transaction():
        store.database.connection.execute(
            "INSERT INTO messages (key, pupil_key, day, half, kind, state, made_ms, valid_until_ms, body, detail)"
            " VALUES ('m-1', 'st-3-2-1', ?, 'am', 'arrived', 'refused', 0, 0, '{}', 'HTTP 422')",
            (DAY.isoformat(),),
        )
    store.incidentdesk.make(Scope("meal", DAY, meal="lunch"), "co.hieu.truong")
    store.incidentdesk.make(Scope("meal", DAY, meal="lunch"), "co.hieu.truong", drill=True)
    return {
        "/incident": f"/incident?kind=meal&meal=lunch&day={DAY}",
        "/reports/month": f"/reports/month?class={CLASS}",
        "/reports/term": f"/reports/term?class={CLASS}&first={DAY}",
        "/messages/consent": f"/messages/consent?class={CLASS}",
    }


def school_day(hub: DayHub) -> None:
    """A morning: most tapped, one card nobody's, one on leave, one said to be away, one let in by hand."""
    for number in range(8):
        hub.tap(f"st-3-2-{number}", f"06:5{number}")
    hub.tap("st-3-2-8", "07:50")
    hub.tap("", "06:55", card=STRANGE)
    hub.deliver()
    office, by = hub.store.office, "co.lan"
    office.leave(by, "st-3-2-9", (DAY, "am"), (DAY, "pm"))
    for half in ("am", "pm"):
        office.roll_call(by, HalfDayOf(CLASS, DAY, half), {"st-3-2-10": "unexcused", "st-3-2-0": "absent"})  # type: ignore[arg-type]
    office.roll_call(by, HalfDayOf(CLASS, DAY, "am"), {"st-3-2-10": "late"}, reason="bấm nhầm", confirms=True)
    office.admit(by, "st-3-3-0")
    hub.heard()
    hub.settle()


def people(hub: DayHub) -> Mapping[Role, str]:
    """A session's secret for each role."""
    found = {}
    for role in ROLES:
        name = hub.add(f"{role}.user", role, shown=f"Người dùng {role}")
        secret = hub.store.sessions.begin(name, "browser", hub.store.clock.now_ms())
        assert secret is not None
        found[role] = secret
    return found
