"""Everything stored of a citizen, for her: found in the catalogue, so no table is forgotten."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

WITHHELD = frozenset(
    {
        # Keys, and what only has meaning together with a key.
        ("citizen_identity", "phone_index"),
        ("citizen_identity", "former_phone_index"),
        ("citizen_identity", "phone_sealed"),
        ("citizen_identity", "data_key_wrapped"),
        ("citizen_secret", "secret"),
        ("account", "secret"),
        ("citizen_device", "device_digest"),
        ("refresh_family", "device_digest"),
        ("refresh_token", "token_digest"),
        ("source_link", "account_digest"),
        ("source_link", "account_sealed"),
        ("activity_detail", "account_digest"),
        ("person_link", "person_id"),
        ("redemption", "person_id"),
    }
)
"""Columns that are left out; every other column of a table with a `citizen_id` is in."""

OF_HERS = {
    "consent_change": "consent",
    "consent_use": "consent",
    "inquiry": "redemption",
    "redemption_record": "redemption",
}
"""Tables without a `citizen_id`, and the table of hers to whose rows theirs belong."""

SHARED = frozenset({"forced_resolution", "reconciliation_exception", "settlement_line"})
"""Books of the scheme and its partners; what they say of her redemptions is in their records."""


def records_of(connection: psycopg.Connection[Any], citizen_id: UUID) -> dict[str, Any]:
    """Return every row that names a citizen or belongs to one that does, by table, as JSON."""
    hers = {
        table: [_as_json(row) for row in _rows(connection, table, columns, citizen_id)]
        for table, columns in tables_of_citizens(connection).items()
    }
    of_hers = {
        table: [_as_json(row) for row in _rows_of(connection, table, parent, citizen_id)]
        for table, parent in OF_HERS.items()
    }
    return hers | of_hers


def tables_of_citizens(connection: psycopg.Connection[Any]) -> dict[str, list[str]]:
    """Return each table with a `citizen_id` that the application may read, and what is shown."""
    found = connection.execute(
        "SELECT c.table_name, c.column_name FROM information_schema.columns c"
        " JOIN information_schema.columns named USING (table_schema, table_name)"
        " WHERE c.table_schema = 'public' AND named.column_name = 'citizen_id'"
        " AND has_table_privilege(format('%I.%I', c.table_schema, c.table_name), 'SELECT')"
        " ORDER BY c.table_name, c.ordinal_position"
    )
    tables: dict[str, list[str]] = {}
    for table, column in found:
        if (table, column) not in WITHHELD:
            tables.setdefault(table, []).append(column)
    return tables


def _rows(
    connection: psycopg.Connection[Any], table: str, columns: list[str], citizen_id: UUID
) -> Iterator[dict[str, Any]]:
    query = sql.SQL("SELECT {} FROM {} WHERE citizen_id = %s").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table)
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        yield from cursor.execute(query, [citizen_id])


def _rows_of(
    connection: psycopg.Connection[Any], table: str, parent: str, citizen_id: UUID
) -> Iterator[dict[str, Any]]:
    """Yield the rows that belong to a citizen's rows of another table."""
    query = sql.SQL(
        "SELECT child.* FROM {child} child JOIN {parent} ON {parent}.id = child.{named}"
        " WHERE {parent}.citizen_id = %s"
    ).format(
        child=sql.Identifier(table),
        parent=sql.Identifier(parent),
        named=sql.Identifier(f"{parent}_id"),
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        yield from cursor.execute(query, [citizen_id])


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    return {column: _json_value(value) for column, value in row.items()}


def _json_value(value: Any) -> Any:
    match value:
        case datetime() | date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case UUID() | Decimal():
            return str(value)
        case _:
            return value
