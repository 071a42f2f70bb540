"""Who may call a route: declared on the view, decided here, before the view runs.

A view says `@requires("citizen")`, `@requires("partner", role="source")` or `@requires("anyone")`;
several declarations are alternatives. A route that declares nothing is refused, and fails a test.
One that is open to anyone and names kinds of callers besides knows those who send a token.

An access token outlives its session by at most ten minutes. A person's request that changes
something asks the session every time, so that a frozen or erased account stops at once; reads, and
partners' feeds, remember a live session for up to 60 s.
"""

import threading
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from uuid import UUID

from flask import current_app, request

from service import clock
from service.access_tokens import AccessTokens, Caller
from service.errors import Forbidden, Unauthenticated

View = TypeVar("View", bound=Callable[..., Any])
CallerKind = Literal["anyone", "citizen", "partner", "staff"]

SESSION_CHECK = "session_check"
"""`app.extensions` key of the callable `(session_id: UUID) -> bool` that identity registers."""
MESSAGE_CHECK = "message_check"
"""`app.extensions` key of the callable `(caller: Caller) -> None` that partners registers: it
refuses a partner's message that is not signed as it has to be."""
SESSIONS = "sessions"
CALLER = "carbon.caller"
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
    caller: Caller = request.environ[CALLER]
    return caller


def caller_if_any(environ: Mapping[str, Any]) -> Caller | None:
    """Return who sends a request, or None on a route that is open to anyone."""
    return environ.get(CALLER)


def sessions() -> "Sessions":
    """Return what this process remembers of sessions; whoever ends one lets it be forgotten."""
    found: Sessions = current_app.extensions[SESSIONS]
    return found


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets callers through to views, or refuses them, before any view runs."""

    tokens: AccessTokens
    sessions: "Sessions"
    extensions: Mapping[str, Any]
    """Of the application; identity puts its session check there."""

    def admit(self, rules: tuple[Rule, ...], environ: dict[str, Any]) -> Caller | None:
        """Return the caller that a view admits; None when the view is open to anyone.

        Args:
            rules: what the view declares.
            environ: the request's; the caller is written into it. On a view that is open to anyone,
                only a caller whom another rule names.

        Raises:
            RouteUndeclared: the route does not say who may call it.
            TokenMissing, TokenInvalid, TokenExpired, SessionEnded: the caller is not known.
            RoleMissing: the caller is known and may not do this.
        """
        if not rules:
            raise RouteUndeclared("Nobody has said yet who may call this address.")
        if is_public(rules) and (len(rules) == 1 or "HTTP_AUTHORIZATION" not in environ):
            return None
        caller = self.tokens.verify(_bearer_token(environ))
        if not any(rule.admits(caller) for rule in rules):
            if is_public(rules):
                return None
            raise _role_missing(rules, caller)
        self._refuse_ended_session(caller, environ["REQUEST_METHOD"])
        environ[CALLER] = caller
        return caller

    def judge_message(self, caller: Caller) -> None:
        """Refuse a partner's message that is not signed as it has to be.

        Raises:
            Unauthenticated: the check says why.
        """
        check = self.extensions.get(MESSAGE_CHECK)
        if check is not None:
            check(caller)

    def _refuse_ended_session(self, caller: Caller, method: str) -> None:
        ask = self.extensions.get(SESSION_CHECK)
        if ask is None or caller.session_id is None:
            return
        afresh = caller.kind != "partner" and method not in SAFE_METHODS
        if not self.sessions.is_live(caller.session_id, ask, afresh=afresh):
            raise SessionEnded("This sign-in has been ended. Please sign in again.")


def _role_missing(rules: tuple[Rule, ...], caller: Caller) -> RoleMissing:
    """Return the refusal of a known caller; it names the scope that would let a token through."""
    scope = next((rule.scope for rule in rules if rule.scope and rule.kind == caller.kind), None)
    if scope is None:
        return RoleMissing("Your account may not do this. It is open to others.")
    return RoleMissing("This needs an access token with the scope {scope}.", scope=scope)


def is_public(rules: tuple[Rule, ...]) -> bool:
    """Say whether a view is open to callers without a token."""
    return any(rule.kind == "anyone" for rule in rules)


def _bearer_token(environ: Mapping[str, Any]) -> str:
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenMissing("Please sign in first, and send the access token with the request.")
    return str(token).strip()


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

    def forget(self, session_id: UUID) -> None:
        """Ask about a session again that was ended here a moment ago."""
        self._alive_until.pop(session_id, None)

    def forget_all(self) -> None:
        """Ask about every session again, because one of somebody else's was ended."""
        with self._forgetting:
            self._alive_until = {}

    def _remember(self, session_id: UUID, until_s: float) -> None:
        if len(self._alive_until) >= SESSIONS_REMEMBERED:
            with self._forgetting:
                self._alive_until = {}
        self._alive_until[session_id] = until_s
