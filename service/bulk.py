"""Many rows into one table with one statement: COPY for crowds, INSERT for a few."""

from collections.abc import Sequence
from typing import Any, Final

import psycopg

COPY_FROM: Final = 24
"""Rows from which COPY, with its two extra round trips, is cheaper than a pipelined INSERT."""

Value = str | int | bool | None


class Table:
    """A table's columns in the order in which its rows are given."""

    def __init__(self, name: str, *columns: str) -> None:
        names = ", ".join(columns)
        self.copy = f"COPY {name} ({names}) FROM STDIN"
        self.insert = f"INSERT INTO {name} ({names}) VALUES ({', '.join(['%s'] * len(columns))})"


def insert_rows(
    connection: psycopg.Connection[Any], table: Table, rows: Sequence[tuple[Value, ...]]
) -> None:
    """Write every row, in the order given, or none.

    Values are text that PostgreSQL reads as the column's type, numbers, booleans or None.
    """
    if len(rows) >= COPY_FROM:
        with connection.cursor().copy(table.copy) as copy:
            copy.write("".join([_copy_line(row) for row in rows]))
    else:
        for row in rows:
            connection.execute(table.insert, row)


def _copy_line(row: tuple[Value, ...]) -> str:
    return "\t".join([_copy_field(value) for value in row]) + "\n"


def _copy_field(value: Value) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return _escaped(value) if "\\" in value or "\t" in value or "\n" in value else value
    return str(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
