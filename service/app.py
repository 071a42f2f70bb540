"""The Flask application, composed: every package's blueprints, one edge around them."""

from collections.abc import Callable
from typing import Any

from flask import Flask

from service.access_tokens import AccessTokens
from service.activities import account_api
from service.activities.appeals import api as appeals
from service.activities.certification import api as certification
from service.activities.corrections import api as corrections
from service.activities.intake import api as intake
from service.activities.intake.desk import Intake
from service.activities.provenance import api as provenance
from service.activities.rules import api as rules
from service.identity import api as identity
from service.identity.consequences import CONSEQUENCES
from service.identity.sessions import session_check
from service.identity.spending import require_may_spend
from service.leaving import consequences
from service.ledger import api as ledger
from service.partners import api as partners
from service.partners.message_signatures import MessageCheck
from service.partners.webhooks import api as webhooks
from service.partners.webhooks import feed_api as events
from service.partners.webhooks.watching import WebhookWatch
from service.reports import api as reports
from service.reports import carbon_reports_api as carbon_reports
from service.rewards import eligibility_api as eligibility
from service.rewards.grades import api as grades
from service.rewards.offers import api as offers
from service.rewards.offers import changes_api as offer_changes
from service.rewards.redemptions import api as redemptions
from service.rewards.redemptions import overseeing_api as overseeing
from service.rewards.settlement import api as settlement
from service.rewards.settlement import reconciliation_api as reconciliation
from service.runtime import Runtime
from service.transparency import api as transparency
from service.transparency.watching import LogWatch
from service.web import health, openapi
from service.web.access import MESSAGE_CHECK, SESSION_CHECK
from service.web.blueprint import Blueprint
from service.web.context import ACCESS_TOKENS, RUNTIME
from service.web.edges import Edge
from service.web.json_bodies import BODY_MAX_BYTES, JsonRequest
from service.web.problems import register_problems

BLUEPRINTS: tuple[Blueprint, ...] = (
    health.blueprint,
    openapi.blueprint,
    intake.blueprint,
    certification.blueprint,
    appeals.blueprint,
    corrections.blueprint,
    account_api.blueprint,
    provenance.blueprint,
    rules.blueprint,
    ledger.blueprint,
    transparency.blueprint,
    reports.blueprint,
    carbon_reports.blueprint,
    grades.blueprint,
    eligibility.blueprint,
    identity.blueprint,
    partners.blueprint,
    offers.blueprint,
    offer_changes.blueprint,
    redemptions.blueprint,
    overseeing.blueprint,
    settlement.blueprint,
    reconciliation.blueprint,
    events.blueprint,
    webhooks.blueprint,
)


class CarbonApp(Flask):
    """Flask with our request, and without the routes and redirects it adds by itself."""

    request_class = JsonRequest

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a view as it is; none of ours is a coroutine, and looking costs at every call."""
        return func


def create_app(runtime: Runtime) -> Flask:
    """Return the application that serves one runtime."""
    app = CarbonApp("service", static_folder=None)
    app.config |= {
        "MAX_CONTENT_LENGTH": BODY_MAX_BYTES,
        "PROPAGATE_EXCEPTIONS": False,  # every fault becomes a problem document, under test too
        "PROVIDE_AUTOMATIC_OPTIONS": False,  # no other origin is admitted, so none need ask
    }
    app.url_map.merge_slashes = False
    app.json.ensure_ascii = False  # type: ignore[attr-defined]  # Flask's default provider has it
    app.extensions[RUNTIME] = runtime
    app.extensions[ACCESS_TOKENS] = AccessTokens(runtime.keys, runtime.settings.issuer)
    app.extensions[SESSION_CHECK] = session_check(runtime)
    app.extensions[MESSAGE_CHECK] = MessageCheck(runtime)
    app.extensions[CONSEQUENCES] = consequences(lambda: runtime.settings)
    app.extensions[ledger.SPENDING_CHECK] = require_may_spend
    app.extensions[intake.INTAKE] = Intake(runtime.database, runtime.keys)
    register_problems(app)
    Edge(app, runtime)
    app.extensions[health.METRICS].registry.register(LogWatch(runtime))
    app.extensions[health.METRICS].registry.register(WebhookWatch(runtime))
    api = openapi.describe(app)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    return app
