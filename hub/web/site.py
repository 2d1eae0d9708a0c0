"""The hub's HTTP side put together: one application of all rooms of pages and of the JSON API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from hub.web.api.attendanceapi import add_attendance
from hub.web.api.cardapi import add_card_api
from hub.web.api.incidentapi import add_incident_api
from hub.web.api.ledgerapi import add_ledger
from hub.web.api.mealapi import add_meal_api
from hub.web.api.mealservingapi import add_serving_api
from hub.web.api.reportapi import add_report_api
from hub.web.classforms import add_class_forms
from hub.web.errors import Headed, add_errors
from hub.web.ground import HERE, Web
from hub.web.pages.auditpages import add_audit_pages
from hub.web.pages.calendarpages import add_calendar_pages
from hub.web.pages.cardpages import add_card_pages
from hub.web.pages.citypages import add_city_pages
from hub.web.pages.classpages import add_class_pages
from hub.web.pages.deskpages import add_desk_pages
from hub.web.pages.devicepages import add_device_pages
from hub.web.pages.filepages import add_file_pages
from hub.web.pages.gatepages import add_gate_pages
from hub.web.pages.incidentpages import add_incident_pages
from hub.web.pages.listpages import add_list_pages
from hub.web.pages.loginpages import add_login_pages
from hub.web.pages.mealcutpages import add_cut_pages
from hub.web.pages.mealdietpages import add_diet_pages
from hub.web.pages.mealmenupages import add_menu_pages
from hub.web.pages.mealmonthpages import add_meal_month_pages
from hub.web.pages.mealpages import add_meal_pages
from hub.web.pages.mealpaperpages import add_meal_paper_pages
from hub.web.pages.mealplanpages import add_plan_pages
from hub.web.pages.mealservingpages import add_serving_pages
from hub.web.pages.messagepages import add_message_pages
from hub.web.pages.onsitepages import add_onsite_pages
from hub.web.pages.paperpages import add_paper_pages
from hub.web.pages.pupilpages import add_pupil_pages
from hub.web.pages.reportpages import add_report_pages
from hub.web.pages.rosterpages import add_roster_pages
from hub.web.pages.todaypages import add_today_pages
from hub.web.pages.userpages import add_user_pages
from hub.web.streams import add_streams

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.tls import Certificates
    from hub.web.status import Status


def make_app(
    store: Store,
    status: Status,
    wake: Callable[[], None] = lambda: None,
    certificates: Certificates | None = None,
) -> FastAPI:
    """The application of one hub; `wake` hears that the city is owed something again."""
    app = FastAPI(title="k12edge hub", version="1", docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json")
    web = Web(app, store, status, wake, certificates)
    app.state.pulse = web.pulse
    add_errors(app, web.show_error)
    for add in (
        add_ledger,
        add_attendance,
        add_login_pages,
        add_device_pages,
        add_user_pages,
        add_audit_pages,
        add_today_pages,
        add_class_pages,
        add_class_forms,
        add_gate_pages,
        add_onsite_pages,
        add_pupil_pages,
        add_streams,
        add_card_pages,
        add_desk_pages,
        add_card_api,
        add_city_pages,
        add_paper_pages,
        add_calendar_pages,
        add_roster_pages,
        add_report_pages,
        add_incident_api,
        add_report_api,
        add_file_pages,
        add_incident_pages,
        add_message_pages,
        add_list_pages,
        add_meal_pages,
        add_serving_pages,
        add_cut_pages,
        add_diet_pages,
        add_meal_paper_pages,
        add_menu_pages,
        add_plan_pages,
        add_meal_month_pages,
        add_meal_api,
        add_serving_api,
    ):
        add(web)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.add_middleware(Headed)
    return app
