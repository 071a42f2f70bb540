"""Finds, by reading the source, every sentence that the service can say to a caller."""

import ast
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import service
from service.errors import DomainError

SERVICE = Path(service.__file__).parent
_WORDS = re.compile(r"[A-Za-z](?![^{]*\})")
FAULTS = {"FieldFault": 2, "ParameterFault": 2}


def refusal_classes() -> list[type[DomainError]]:
    for module in pkgutil.walk_packages(service.__path__, "service."):
        import_module(module.name)
    classes: set[type[DomainError]] = {DomainError, *_subclasses(DomainError)}
    ours = {each for each in classes if each.__module__.startswith("service.")}
    return sorted(ours, key=lambda each: each.code)


def sentences() -> set[tuple[str, str]]:
    """File and template of each `SomeRefusal("…")` and `FieldFault(…, "…")` in the service."""
    template_position = dict.fromkeys((each.__name__ for each in refusal_classes()), 0) | FAULTS
    return {
        (str(path.relative_to(SERVICE)), template)
        for path in SERVICE.rglob("*.py")
        for template in _templates(ast.parse(path.read_text()), template_position)
    }


def _templates(tree: ast.AST, template_position: dict[str, int]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            position = template_position.get(_called(node))
            if position is not None and len(node.args) > position:
                yield from _texts(node.args[position])


def _called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if _WORDS.search(node.value):  # "{sentence}" alone was translated where it was written
            yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


def _subclasses(kind: type[DomainError]) -> Iterator[type[DomainError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
