"""The checks use the service; the service knows nothing of them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_service_imports_no_check() -> None:
    sources = [*(ROOT / "service").rglob("*.py"), *(ROOT / "migrations").rglob("*.py")]

    assert [path for path in sources if "checks" in set(packages_imported(path))] == []


def packages_imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
