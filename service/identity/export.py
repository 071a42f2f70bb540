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
    }
)
"""Columns that are left out; every other column of a table with a `citizen_id` is in."""


def records_of(connection: psycopg.Connection[Any], citizen_id: UUID) -> dict[str, Any]:
    """Return every row that names a citizen, by table, as JSON values."""
    return {
        table: [_as_json(row) for row in _rows(connection, table, columns, citizen_id)]
        for table, columns in tables_of_citizens(connection).items()
    }


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
