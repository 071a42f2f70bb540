"""Many rows into one table with one statement: COPY for crowds, INSERT for a few."""

from collections.abc import Iterable, Sequence
from typing import Final

from psycopg.pq import PipelineStatus

from service.pipelining import Connection, PipelinedConnection

COPY_FROM: Final = 12
"""Rows from which COPY, with its two extra round trips, is cheaper than pipelined INSERTs."""

NULL: Final = "\x1a"
"""Stands for SQL's NULL in a row; no text that is let in holds control characters."""

Row = tuple[str, ...]


class Table:
    """A table's columns in the order in which its rows are given."""

    def __init__(self, name: str, *columns: str) -> None:
        names = ", ".join(columns)
        self.copy = f"COPY {name} ({names}) FROM STDIN WITH (NULL '{NULL}')"
        self.insert = f"INSERT INTO {name} ({names}) VALUES ({', '.join(['%s'] * len(columns))})"


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Write every row, in the order given, or none.

    Values are text that PostgreSQL reads as the column's type, without control characters, or NULL.
    """
    # PostgreSQL takes no COPY in a pipeline, where INSERTs wait for no answer anyway.
    if (
        len(rows) >= COPY_FROM
        and not isinstance(connection, PipelinedConnection)
        and (connection.pgconn.pipeline_status == PipelineStatus.OFF)
    ):
        lines = ["\t".join(row) for row in rows]
        with connection.cursor().copy(table.copy) as copy:
            copy.write("\n".join(lines).replace("\\", "\\\\") + "\n")
    else:
        for row in rows:
            connection.execute(table.insert, [None if value == NULL else value for value in row])


def array_of(values: Iterable[str | float]) -> str:
    """Return PostgreSQL's text for an array of ids, dates or numbers.

    psycopg looks for characters to quote in every element; these have none, and thousands of them
    are sent with every part of a feed.
    """
    return "{" + ",".join(map(str, values)) + "}"
