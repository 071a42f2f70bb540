"""Whether this process lives, may be sent requests, and how much it has done."""

import psycopg
from flask import Response, current_app
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest

from service.db import Database
from service.errors import Unavailable
from service.web.access import requires
from service.web.blueprint import Blueprint
from service.web.context import runtime
from service.web.rate_limits import rate_policy

blueprint = Blueprint("health", __name__, description="For the operator's eyes")

READY_WITHIN_MS = 200
DURABLE_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")
METRICS = "metrics"


class NotReady(Unavailable):
    """This process should not be sent requests now."""

    code = "not-ready"


class ServerUnsafe(Unavailable):
    """The database server may forget what it has confirmed."""

    code = "server-unsafe"


def refuse_unsafe_server(database: Database) -> None:
    """Refuse to serve on a PostgreSQL that may lose a commit it has reported.

    Raises:
        ServerUnsafe: `fsync`, `full_page_writes` or `synchronous_commit` is off.
    """
    with database.raw_transaction() as connection:
        _refuse_lossy_settings(connection)


def _refuse_lossy_settings(connection: "psycopg.Connection[tuple[str, ...]]") -> None:
    found = connection.execute(
        "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting = 'off' ORDER BY name",
        [list(DURABLE_SETTINGS)],
    ).fetchall()
    if found:
        raise ServerUnsafe(
            "PostgreSQL runs with {settings} off. Points would be lost with the next power cut.",
            settings=", ".join(row[0] for row in found),
        )


@blueprint.get("/livez")
@requires("anyone")
@rate_policy("none")
@blueprint.response(200, content_type="text/plain", description="Alive")
def live() -> Response:
    """Say that this process answers; touches nothing."""
    return Response("alive\n", mimetype="text/plain")


@blueprint.get("/readyz")
@requires("anyone")
@rate_policy("none")
@blueprint.response(200, content_type="text/plain", description="Ready")
@blueprint.refusals(503, "not-ready", "server-unsafe")
def ready() -> Response:
    """Say whether requests may be sent here: one query, 200 ms; never Redis, never partners."""
    pool = runtime().database.pool
    try:
        with pool.connection(timeout=READY_WITHIN_MS / 1000) as connection:
            connection.execute(f"SET LOCAL statement_timeout = {READY_WITHIN_MS}")
            _refuse_lossy_settings(connection)
    except psycopg.Error as error:
        raise NotReady("The database does not answer in time.", retry_after_s=2) from error
    return Response("ready\n", mimetype="text/plain")


@blueprint.get("/metrics")
@requires("anyone")
@rate_policy("none")
@blueprint.response(200, content_type="text/plain", description="Prometheus text format")
def metrics() -> Response:
    """Return this worker's counters; each worker process counts for itself."""
    counted: RequestCounts = current_app.extensions[METRICS]
    return Response(generate_latest(counted.registry), content_type=CONTENT_TYPE_LATEST)


class RequestCounts:
    """How many requests this worker has answered, by route and status."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answered = Counter(
            "carbon_requests",
            "Requests answered by this worker process.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._children: dict[tuple[str, str, int], Counter] = {}

    def count(self, method: str, route: str, status: int) -> None:
        """Count one answer."""
        key = (method, route, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._answered.labels(*map(str, key))
        child.inc()
