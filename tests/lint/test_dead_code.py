"""No function, method or class without a caller in ocirun itself: what only a test calls is not needed, and rots."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

# Names that are called from outside of the Python code, each with by whom.
CALLED_FROM_OUTSIDE = {
    "main": "the console script",
    "ffibuilder": "setup.py, by name",
}
KINDS = {"function", "method", "class", "property", "unreachable_code"}


def annotations(tree: ast.AST) -> Iterator[str]:
    """The annotations that are written as strings: vulture cannot read them."""
    for node in ast.walk(tree):
        found = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        for part in found:
            if isinstance(part, ast.AST):
                yield from (
                    leaf.value
                    for leaf in ast.walk(part)
                    if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
                )


def test_no_dead_code(top: Path) -> None:
    vulture = pytest.importorskip("vulture")
    scanner = vulture.Vulture()
    scanner.scavenge([str(top / "ocirun")])
    named = set(CALLED_FROM_OUTSIDE)
    for path in (top / "ocirun").rglob("*.py"):
        for text in annotations(ast.parse(path.read_text())):
            named.update(re.findall(r"\w+", text))
    found = [
        f"{Path(item.filename).relative_to(top)}:{item.first_lineno}: {item.message}"
        for item in scanner.get_unused_code(min_confidence=60)
        if item.typ in KINDS and item.name not in named
    ]
    assert found == []
