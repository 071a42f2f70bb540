"""Waiting for other nodes, with the one server at hand in the place of a node."""

import threading
import time

import pytest

from service.transparency import cluster
from service.transparency.errors import NodeBehind
from tests.transparency.books import Books

# What Citus offers, for a cluster of one node.
RUN_COMMAND = """
CREATE FUNCTION run_command_on_all_nodes(command text)
RETURNS TABLE (nodeid int, success bool, result text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command INTO result;
    nodeid := 1;
    success := true;
    RETURN NEXT;
END $$
"""


@pytest.fixture
def node(books: Books, monkeypatch: pytest.MonkeyPatch) -> Books:
    monkeypatch.setattr(cluster, "HAS_CITUS", "SELECT 1")
    with books.owner() as connection:
        connection.execute(RUN_COMMAND)
    return books


class TestTheSealer:
    def test_waits_for_what_is_in_progress_on_a_node(self, node: Books) -> None:
        with node.connection() as sealer, node.owner() as writing:
            writing.execute("SELECT pg_current_xact_id()")
            threading.Timer(0.5, writing.rollback).start()
            began_at = time.monotonic()

            cluster.wait_for_nodes(sealer)

        assert time.monotonic() - began_at > 0.4

    def test_does_not_wait_for_readers(self, node: Books) -> None:
        with node.connection() as sealer, node.owner() as reading:
            reading.execute("SELECT count(*) FROM transfer")

            cluster.wait_for_nodes(sealer)

    def test_gives_up_until_the_next_cycle(
        self, node: Books, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cluster, "WAIT_AT_MOST_S", 0.1)
        with node.connection() as sealer, node.owner() as writing:
            writing.execute("SELECT pg_current_xact_id()")

            with pytest.raises(NodeBehind):
                cluster.wait_for_nodes(sealer)
