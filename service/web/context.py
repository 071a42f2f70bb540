"""What a view may reach: the process's runtime, its transactions, its token signer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from flask import current_app
from sqlalchemy.orm import Session

from service.access_tokens import AccessTokens
from service.pipelining import Reader
from service.runtime import Runtime

RUNTIME = "carbon"
ACCESS_TOKENS = "access_tokens"


def runtime() -> Runtime:
    """Return the runtime of the application that serves this request."""
    found: Runtime = current_app.extensions[RUNTIME]
    return found


def access_tokens() -> AccessTokens:
    """Return the signer and verifier of our own access tokens."""
    found: AccessTokens = current_app.extensions[ACCESS_TOKENS]
    return found


@contextmanager
def transaction() -> Iterator[Session]:
    """Open the one transaction of this request."""
    with runtime().database.transaction() as session:
        yield session


@contextmanager
def raw_transaction() -> Iterator[psycopg.Connection[Any]]:
    """Open the one transaction of this request on a bare psycopg connection."""
    with runtime().database.raw_transaction() as connection:
        yield connection


@contextmanager
def one_statement() -> Iterator[Reader]:
    """Lend a reader for the one statement that this request reads with."""
    with runtime().database.one_statement() as reader:
        yield reader
