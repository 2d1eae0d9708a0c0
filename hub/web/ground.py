"""The ground of pages and API: routes with their rules, pages in a person's language, forms that are theirs."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Callable, Coroutine, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool

from hub.access.rights import ROLE_WORDS, Right, Role, bound
from hub.web.acts import act_of, act_words
from hub.web.doorman import SAFE, Doorman, is_form_of
from hub.web.errors import Refusal, ended
from hub.web.pulse import Pulse
from hub.web.refusals import refusal_words
from hub.web.registry import BODY_BYTES_MAX, MENUS, PAGES, Of, Page, Rule, page_at
from hub.web.troubles import troubles
from hub.web.visits import Visit
from hub.web.words import Language, counted, moment, shown_day, shown_time, translated

if TYPE_CHECKING:
    from hub.parts import Store
    from hub.tls import Certificates
    from hub.web.status import Status
    from protocol.errors import Refused

log = logging.getLogger("k12edge.web")

HERE: Final = pathlib.Path(__file__).parent
Work = TypeVar("Work", bound=Callable[..., Any])


class GuardedRoute(APIRoute):
    """A route that nothing passes but by its rule; one without a rule can't be made."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with the doorman before it."""
        rule, doorman = self.endpoint.rule, self.endpoint.doorman  # type: ignore[attr-defined]
        assert isinstance(rule, Rule) and isinstance(doorman, Doorman)
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            visit = await run_in_threadpool(doorman.admit, request, rule)
            request.state.visit = visit
            try:
                answer = await answered(request, visit)
            except Exception as met:
                await run_in_threadpool(doorman.settle, visit, *ended(met))
                raise
            await run_in_threadpool(doorman.settle, visit, answer.status_code, getattr(answer, "code", ""))
            return answer

        async def answered(request: Request, visit: Visit) -> Response:
            if request.method not in SAFE and not rule.api:
                form = await request.form(max_files=8, max_fields=2000)
                if not is_form_of(visit, form.get("csrf")):
                    raise Refusal(403, "form-expired", "This form is not of this session.")
            answer = await handle(request)
            if rule.of == "object" and visit.person is not None and not visit.checked and answer.status_code < 400:
                # Nothing is shown of an object that nobody asked about: a forgotten check is a refusal, not a leak.
                log.error("%s answered without an object check", request.scope["route"].path)
                raise Refusal(403, "not-allowed", "This role may not do this here.")
            return answer

        return guarded


class Web:
    """See the room. A room of pages gets it and adds its routes."""

    def __init__(
        self,
        app: FastAPI,
        store: Store,
        status: Status,
        wake: Callable[[], None],
        certificates: Certificates | None = None,
    ) -> None:
        """`wake` hears that the city is owed something; `certificates` where pages go by TLS."""
        self.app, self.store, self.status, self.wake = app, store, status, wake
        self.certificates = certificates
        self.doorman = Doorman(store)
        self.pulse = Pulse(store, lambda: status.fleet)
        self._pages = {language: _environment(language) for language in ("vi", "en")}
        app.router.route_class = GuardedRoute

    # --- routes -------------------------------------------------------------------------------------------------------

    def page(self, path: str) -> Callable[[Work], Work]:
        """A page that stands in the registry: its handler gets a `Visitor` and returns `show(...)`."""
        page = page_at(path)
        rule = Rule(page.right, page.of, act_of("see", path), here=page.here)
        return partial(self._add, "GET", path, rule, include_in_schema=False)

    def form(
        self, path: str, right: Right | str, what: str, *, of: Of = "school", body_max: int = BODY_BYTES_MAX
    ) -> Callable[[Work], Work]:
        """What a page's form is sent to (POST). `what` names the act in the audit. The hidden field is asked before."""
        rule = Rule(right, of, what, writes=right != "open", body_max=body_max)  # type: ignore[arg-type]
        return partial(self._add, "POST", path, rule, include_in_schema=False)

    def file(self, path: str, right: Right | str, what: str, *, of: Of = "school") -> Callable[[Work], Work]:
        """Something to download, or a part of a page (GET)."""
        return partial(self._add, "GET", path, Rule(right, of, what), include_in_schema=False)  # type: ignore[arg-type]

    def api(
        self,
        method: str,
        path: str,
        right: Right,
        *,
        of: Of = "school",
        here: bool = False,
        body_max: int = BODY_BYTES_MAX,
        **more: Any,
    ) -> Callable[[Work], Work]:
        """A route of the JSON API, for tokens and sessions; `here` lets programs of this machine in without a login."""
        what = act_of("api" if method in SAFE else method.lower(), path)
        rule = Rule(right, of, what, writes=method not in SAFE, here=here, api=True, body_max=body_max)
        return partial(self._add, method, path, rule, **more)

    def _add(self, method: str, path: str, rule: Rule, work: Work, **more: Any) -> Work:
        work.rule, work.doorman = rule, self.doorman  # type: ignore[attr-defined]
        if not rule.api:
            more.setdefault("response_class", HTMLResponse)
        self.app.add_api_route(path, work, methods=[method], response_model=None, **more)
        return work

    # --- pages --------------------------------------------------------------------------------------------------------

    def show(self, visit: Visit, template: str, http: int = 200, **values: Any) -> HTMLResponse:
        """A page in the visitor's language; `title` comes from the registry unless it is given."""
        page = next((page for page in PAGES if page.path == visit.rule_path), None)
        values.setdefault("title", translated(visit.language, page.title) if page else "k12edge")
        text = (
            self._pages[visit.language]
            .get_template(template)
            .render(visit=visit, menu=menu(visit), school=self.store.config.school, **values)
        )
        return HTMLResponse(text, http)

    def show_error(self, request: Request, status: int, code: str, why: Refused | None = None) -> Response:
        """The page of an error, for people."""
        visit = getattr(request.state, "visit", None)
        if visit is None:
            visit = self.doorman.stranger(request)
        return self.show_problem(visit, status, code, "" if why is None else self.refused(visit, why))

    def show_problem(self, visit: Visit, status: int, code: str, why: str = "") -> HTMLResponse:
        """What happened, what was kept, what to do, and a code; `why`: the reason in the visitor's language."""
        visit.failed(code)
        what, kept, todo = (translated(visit.language, text) for text in troubles(status, code))
        return self.show(
            visit, "error.html", status, title=what, kept=kept, todo=todo, code=code, number=status, why=why
        )

    def refused(self, visit: Visit, problem: Refused) -> str:
        """Why what was entered isn't taken, in the visitor's language; the audit has its code."""
        visit.failed(problem.code)
        return refusal_words(visit.language, problem)

    def show_refused(self, visit: Visit, problem: Refused) -> HTMLResponse:
        """A page of its own that says so."""
        return self.show_problem(visit, 409, problem.code, self.refused(visit, problem))

    def say(self, visit: Visit, text: str) -> str:
        """A text in the visitor's language."""
        return translated(visit.language, text)


def menu(visit: Visit) -> list[tuple[str, list[Page]]]:
    """The groups of the menu with the pages that somebody may open."""
    if visit.person is None:
        return []
    groups = []
    for group in MENUS:
        mine = [page for page in PAGES if page.menu == group and page.right != "open" and _opens(visit, page)]
        if mine:
            groups.append((group, mine))
    return groups


def _opens(visit: Visit, page: Page) -> bool:
    assert visit.person is not None and page.right != "open"
    if page.of == "school":
        return visit.allows(page.right, None)
    # A class page opens with the class of who is bound to one, else with a choice.
    return visit.may(page.right) and not (page.of == "class" and bound(visit.person) and not visit.person.school_class)


@cache
def _environment(language: Language) -> Environment:
    """Of the whole process: pages are compiled once, however many hubs it has."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(  # type: ignore[attr-defined]  # Of the extension.
        partial(translated, language), partial(counted, language), newstyle=True
    )
    made.globals["language"] = language
    made.filters["time"] = shown_time
    made.filters["day"] = partial(shown_day, language=language)
    made.filters["clock"] = lambda at_ms: moment(at_ms).strftime("%H:%M:%S")
    made.filters["role"] = partial(_role, language)
    made.filters["act"] = partial(act_words, language)
    return made


def _role(language: Language, role: Role | str) -> str:
    """A role in a language; the audit also keeps `-`, and roles of earlier releases."""
    words = next((told for name, told in ROLE_WORDS.items() if name == role), (role, role))
    return words[0 if language == "vi" else 1]


def rules(app: FastAPI) -> Mapping[tuple[str, str], Rule]:
    """(method, path) -> rule of every route; raises AttributeError where one has none. For tests and docs."""
    found = {}
    for route in app.routes:
        if isinstance(route, APIRoute):
            for method in route.methods or ():
                found[method, route.path] = route.endpoint.rule  # type: ignore[attr-defined]
    return found
