"""An application with a few routes of its own, so that the edge can be asked everything."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from marshmallow import Schema, fields, validate

from service.access_tokens import Kind
from service.app import create_app
from service.runtime import Runtime
from service.web.access import caller_if_any, current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import access_tokens, transaction
from service.web.idempotency import Answer, answer_once
from service.web.openapi import spec_of
from service.web.pagination import Page, PageQuery, list_view

AsCaller = Callable[..., dict[str, str]]


class NoteRequest(Schema):
    text = fields.String(required=True, validate=validate.Length(max=20))
    points = fields.Integer(strict=True, validate=validate.Range(min=1, max=100))
    happened_at = fields.AwareDateTime()


class NumberView(Schema):
    number = fields.Integer(required=True)


class NumberQuery(PageQuery):
    above = fields.Integer(load_default=0)


def add_open_probe(blueprint: Blueprint) -> None:
    @blueprint.get("/probe/open")
    @requires("anyone")
    @requires("partner", role="source")
    @blueprint.response(200)
    def show_open() -> dict[str, Any]:
        caller = caller_if_any(request.environ)
        return {"known": caller is not None}


def probe_blueprint(effects: list[str]) -> Blueprint:
    blueprint = Blueprint("probe", __name__)
    add_open_probe(blueprint)

    @blueprint.post("/probe/json")
    @requires("anyone")
    @blueprint.arguments(NoteRequest)
    @blueprint.response(200)
    def take_note(body: dict[str, Any]) -> dict[str, Any]:
        return {"text": body["text"]}

    @blueprint.get("/probe/citizen")
    @requires("citizen")
    @blueprint.response(200)
    def show_citizen() -> dict[str, Any]:
        return {"id": current_caller().id.hex}

    @blueprint.post("/probe/citizen")
    @requires("citizen")
    @blueprint.response(200)
    def change_citizen() -> dict[str, Any]:
        return {}

    @blueprint.get("/probe/verifier")
    @requires("staff", role="verifier")
    @requires("partner", role="source")
    @blueprint.response(200)
    def show_verifier() -> dict[str, Any]:
        return {}

    @blueprint.get("/probe/undeclared")
    @blueprint.response(200)
    def forgotten() -> dict[str, Any]:
        return {}

    @blueprint.get("/probe/numbers")
    @requires("citizen")
    @blueprint.arguments(NumberQuery, location="query")
    @blueprint.response(200, list_view(NumberView))
    def list_numbers(query: dict[str, Any]) -> Any:
        page = Page.asked(query)
        start = query["above"] if page.after is None else int(page.after[0])
        numbers = range(start + 1, min(start + page.rows_needed, 9) + 1)
        return page.answer([{"number": n} for n in numbers], lambda item: [item["number"]])

    @blueprint.post("/probe/effects")
    @requires("citizen")
    @blueprint.response(201)
    def cause_effect() -> Response:
        def effect() -> Answer:
            effects.append(uuid4().hex)
            return 201, {"id": effects[-1]}

        with transaction() as session:
            return answer_once(session, effect)

    @blueprint.get("/probe/failure/<kind>")
    @requires("anyone")
    @blueprint.response(200)
    def fail(kind: str) -> Response:
        raise FAILURES[kind]

    return blueprint


FAILURES: dict[str, Exception] = {
    "bug": RuntimeError("the password is hunter2"),
    "deadlock": psycopg.errors.DeadlockDetected("deadlock detected, process 4711"),
    "away": psycopg.OperationalError("connection to server at 10.1.2.3 failed"),
    "constraint": psycopg.errors.UniqueViolation("Key (phone)=(13800138000) already exists"),
}


@pytest.fixture(scope="session")
def effects() -> list[str]:
    return []


@pytest.fixture(scope="session")
def probe_app(runtime: Runtime, effects: list[str]) -> Flask:
    app = create_app(runtime)
    app.extensions["flask-smorest"]["apis"][""]["ext_obj"].register_blueprint(
        probe_blueprint(effects)
    )
    return app


@pytest.fixture
def probe(probe_app: Flask) -> FlaskClient:
    return probe_app.test_client()


@pytest.fixture
def as_caller(probe_app: Flask) -> AsCaller:
    """Headers of a caller that has just signed in."""

    def headers(kind: Kind = "citizen", caller_id: UUID | None = None, **more: Any) -> Any:
        with probe_app.app_context():
            token = access_tokens().issue(kind, caller_id or uuid4(), **more)
        return {"Authorization": f"Bearer {token}"}

    return headers


@pytest.fixture
def spec(app: Flask) -> dict[str, Any]:
    return spec_of(app)
