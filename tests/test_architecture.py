"""The picture in ARCHITECTURE.md, as a table that is compared with the source."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SERVICE = ROOT / "service"

STONES = {
    "base64url",
    "pipelining",
    "clock",
    "db",
    "durable_files",
    "errors",
    "ids",
    "messages",
    "redis",
    "retries",
    "settings",
    "units",
    "bulk",
}
"""Foundation modules that know nothing of the business and may be used by every package."""
EDGE = STONES | {"access_tokens", "documents", "keys", "runtime", "seals"}

MAY_IMPORT: dict[str, set[str]] = {
    "base64url": set(),
    "errors": set(),
    "units": {"errors"},
    "messages": set(),
    "clock": set(),
    "settings": {"errors"},
    "ids": {"errors"},
    "pipelining": set(),
    "db": {"errors", "pipelining"},
    "retries": set(),
    "bulk": {"db", "errors", "pipelining"},
    "redis": set(),
    "durable_files": set(),
    "seals": set(),
    "keys": {"base64url", "durable_files", "errors"},
    "access_tokens": {"base64url", "clock", "errors", "ids", "keys"},
    "documents": {"errors", "keys"},
    "runtime": {"db", "keys", "redis", "settings"},
    "web": EDGE,
    "jobs": EDGE,
    "embedded": {"errors", "redis", "settings"},
    "methodologies": {"units", "errors"},
    "partners": EDGE | {"web", "jobs"},
    "identity": EDGE | {"web", "partners"},
    "ledger": EDGE | {"web"},
    "transparency": EDGE | {"web", "ledger", "jobs"},
    "activities": EDGE | {"web", "jobs", "identity", "partners", "ledger", "methodologies"},
    "sharding": EDGE,
    "demo": EDGE | {"identity", "partners", "activities"},
    "rewards": EDGE
    | {"web", "jobs", "identity", "partners", "ledger", "activities", "transparency"},
    "reports": EDGE
    | {"web", "ledger", "activities", "methodologies", "identity", "partners", "rewards"},
}
"""Who may import whom; packages and modules of `service`. What is not here composes the rest."""

COMPOSERS = {"app", "cli", "leaving", "migrate", "supervisor", "worker"}
"""Entry points, which may import everything and which nobody imports."""


def test_packages_import_only_what_they_may() -> None:
    forbidden = {
        (importer, imported)
        for importer, imported in imports()
        if importer in MAY_IMPORT and imported not in MAY_IMPORT[importer]
    }

    assert forbidden == set()


def test_every_package_has_a_line_in_the_table() -> None:
    homes = {home_of(path) for path in sources()} - {""}

    assert homes <= set(MAY_IMPORT) | COMPOSERS


def test_dependencies_form_no_cycle() -> None:
    TopologicalSorter(MAY_IMPORT).prepare()


def test_the_methodologies_are_pure() -> None:
    for path in (SERVICE / "methodologies").rglob("*.py"):
        outside = {module.partition(".")[0] for module in modules_imported(tree_of(path))}

        assert not outside & {"flask", "sqlalchemy", "psycopg", "redis", "marshmallow"}, path


def test_transactions_are_committed_in_one_place() -> None:
    committing = {
        path.name
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr == "commit"
    }

    assert committing <= {"db.py"}


@pytest.mark.parametrize("question", ["now", "utcnow", "today"])
def test_only_the_clock_knows_what_time_it_is(question: str) -> None:
    asking = {
        path.relative_to(SERVICE).as_posix()
        for path in sources()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute)
        and node.attr == question
        and isinstance(node.value, ast.Name)
        and node.value.id in {"datetime", "date"}
    }

    assert asking <= {"clock.py"}


def sources() -> list[Path]:
    return sorted(SERVICE.rglob("*.py"))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def home_of(path: Path) -> str:
    """The package or foundation module a file belongs to; empty for `service` itself."""
    first = path.relative_to(SERVICE).parts[0]
    return first.removesuffix(".py").replace("__init__", "")


def imports() -> Iterator[tuple[str, str]]:
    for path in sources():
        home = home_of(path)
        for module in modules_imported(tree_of(path)):
            parts = module.split(".")
            if parts[0] == "service" and len(parts) > 1 and parts[1] != home:
                yield home, parts[1]


def modules_imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "service":
            yield from (f"service.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
