"""Who may call a route: declared on the view, decided here, before the view runs.

A view says `@requires("citizen")`, `@requires("partner", role="source")` or `@requires("anyone")`;
several declarations are alternatives. A route that declares nothing is refused, and fails a test.

An access token outlives its session by at most ten minutes. A person's request that changes
something asks the session every time, so that a frozen or erased account stops at once; reads, and
partners' feeds, remember a live session for up to 60 s.
"""

import threading
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from uuid import UUID

from flask import Flask, current_app, g, request

from service import clock
from service.access_tokens import AccessTokens, Caller
from service.errors import Forbidden, Unauthenticated
from service.web.context import ACCESS_TOKENS

View = TypeVar("View", bound=Callable[..., Any])
CallerKind = Literal["anyone", "citizen", "partner", "staff"]

SESSION_CHECK = "session_check"
"""`app.extensions` key of the callable `(session_id: UUID) -> bool` that identity registers."""
DECLARATION = "_carbon_access"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SESSION_REMEMBERED_S = 60
SESSIONS_REMEMBERED = 50_000


class TokenMissing(Unauthenticated):
    """An access token is needed."""

    code = "token-missing"


class SessionEnded(Unauthenticated):
    """The sign-in is over."""

    code = "session-ended"


class RoleMissing(Forbidden):
    """The caller does not have the role this needs."""

    code = "role-missing"


class RouteUndeclared(Forbidden):
    """Nobody may call this route yet."""

    code = "route-undeclared"


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of caller that a view admits."""

    kind: CallerKind
    role: str | None = None
    scope: str | None = None

    def admits(self, caller: Caller) -> bool:
        """Say whether this rule lets the caller in."""
        return (
            self.kind == caller.kind
            and (self.role is None or self.role in caller.roles)
            and (self.scope is None or self.scope in caller.scopes)
        )


def requires(
    kind: CallerKind, *, role: str | None = None, scope: str | None = None
) -> Callable[[View], View]:
    """Declare one kind of caller that a view admits; repeat it for alternatives."""

    def declare(view: View) -> View:
        rules = (Rule(kind, role, scope), *declared(view))
        setattr(view, DECLARATION, rules)
        described = deepcopy(getattr(view, "_apidoc", {}))
        view._apidoc = {**described, "access": rules}  # type: ignore[attr-defined]  # noqa: SLF001  flask-smorest reads it
        return view

    return declare


def declared(view: Callable[..., Any]) -> tuple[Rule, ...]:
    """Return who may call a view; empty when nobody said so."""
    rules: tuple[Rule, ...] = getattr(view, DECLARATION, ())
    return rules


def current_caller() -> Caller:
    """Return who sends this request; only for routes that need a token."""
    caller: Caller = g.caller
    return caller


def admit() -> None:
    """Let the request's caller pass to its view, or refuse; runs before every view.

    Raises:
        RouteUndeclared: the route does not say who may call it.
        TokenMissing, TokenInvalid, TokenExpired, SessionEnded: the caller is not known.
        RoleMissing: the caller is known and may not do this.
    """
    g.caller = None
    if request.endpoint is None:
        return  # no route: the answer is 404 or 405, for everybody
    rules = declared(current_app.view_functions[request.endpoint])
    if not rules:
        raise RouteUndeclared("Nobody has said yet who may call this address.")
    if any(rule.kind == "anyone" for rule in rules):
        return
    g.caller = caller = _verified_caller()
    if not any(rule.admits(caller) for rule in rules):
        raise RoleMissing("Your account may not do this. It is open to others.")
    _refuse_ended_session(caller)


def _verified_caller() -> Caller:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenMissing("Please sign in first, and send the access token with the request.")
    tokens: AccessTokens = current_app.extensions[ACCESS_TOKENS]
    return tokens.verify(token.strip())


class Sessions:
    """Knows whether sessions are still alive, and remembers a yes for up to 60 s."""

    def __init__(self) -> None:
        self._alive_until: dict[UUID, float] = {}
        self._forgetting = threading.Lock()

    def is_live(self, session_id: UUID, ask: Callable[[UUID], bool], *, afresh: bool) -> bool:
        """Say whether a session is alive, by asking or from memory.

        Args:
            session_id: the `sid` of an access token.
            ask: identity's own answer, which costs a query.
            afresh: do not trust memory.
        """
        now_s = clock.now().timestamp()
        if not afresh and now_s < self._alive_until.get(session_id, 0.0):
            return True
        if not ask(session_id):
            self._alive_until.pop(session_id, None)
            return False
        self._remember(session_id, now_s + SESSION_REMEMBERED_S)
        return True

    def _remember(self, session_id: UUID, until_s: float) -> None:
        if len(self._alive_until) >= SESSIONS_REMEMBERED:
            with self._forgetting:
                self._alive_until = {}
        self._alive_until[session_id] = until_s


def _refuse_ended_session(caller: Caller) -> None:
    ask = current_app.extensions.get(SESSION_CHECK)
    if ask is None or caller.session_id is None:
        return
    sessions: Sessions = current_app.extensions["sessions"]
    afresh = caller.kind != "partner" and request.method not in SAFE_METHODS
    if not sessions.is_live(caller.session_id, ask, afresh=afresh):
        raise SessionEnded("This sign-in has been ended. Please sign in again.")


def guard(app: Flask) -> None:
    """Give an application the memory that `admit` needs."""
    app.extensions["sessions"] = Sessions()
