"""The wings of the package: each imports only what its place allows."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import abathur_schema

PACKAGE = Path(abathur_schema.__file__).parent

# Values below, effects above. The modules at the root are the ground: every wing may import them,
# and they import no wing.
MAY_IMPORT = {
    "schema": set(),
    "declared": {"schema"},
    "storage": {"schema", "declared"},
    "planning": {"schema", "declared"},
    "steps": {"schema", "declared", "storage", "planning"},
    "proof": {"schema", "declared", "storage"},
    "record": {"schema", "declared", "storage", "planning", "steps", "proof"},
    "presentation": {"schema", "declared", "storage", "planning", "steps", "proof", "record"},
    "upkeep": {"schema", "declared", "storage", "planning", "steps", "proof", "record"},
    "commands": {
        *("schema", "declared", "storage", "planning", "steps", "proof", "record"),
        *("presentation", "upkeep"),
    },
    "application": {"schema", "declared", "storage", "planning", "steps", "proof", "record"},
}
EDGES = {"__init__", "cli"}
"""The entrances of the package: they may import what they hand out."""


def modules() -> dict[str, Path]:
    """The modules by name inside the package: `schema.model`, `errors`."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
    }


def imported(name: str, path: Path) -> Iterator[str]:
    """The modules of the package that a module imports, inside functions too."""
    package = ["abathur_schema", *name.split(".")[:-1]]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = package[: len(package) - node.level + 1] if node.level else []
        full = [*base, *(node.module or "").split(".")] if node.module else base
        if full[:1] != ["abathur_schema"]:
            continue
        inside = ".".join(full[1:])
        for alias in node.names:
            whole = ".".join(filter(None, [inside, alias.name]))
            yield whole if whole in modules() else inside or "__init__"


def wing(module: str) -> str:
    """The wing of a module; empty at the root."""
    return module.partition(".")[0] if "." in module else ""


def test_every_folder_is_a_wing() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == MAY_IMPORT.keys()


@pytest.mark.parametrize("module", sorted(modules().keys() - EDGES))
def test_imports_only_what_it_may(module: str) -> None:
    of = wing(module)
    allowed = MAY_IMPORT[of] | {of, ""} if of else {""}
    wrong = {other for other in imported(module, modules()[module]) if wing(other) not in allowed}
    assert not wrong


def test_no_circle() -> None:
    """Imports inside functions count too; only those of the package's `__init__` do not."""
    graph = {name: set(imported(name, path)) - {name} for name, path in modules().items()}
    del graph["__init__"]
    while graph:
        free = {name for name, others in graph.items() if not others & graph.keys()}
        assert free, f"these import each other: {sorted(graph)}"
        graph = {name: others for name, others in graph.items() if name not in free}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.name)
def test_no_file_is_longer_than_three_hundred_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 300


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_wing_says_what_it_may_import(name: str) -> None:
    text = (PACKAGE / name / "__init__.py").read_text("utf-8")
    assert "May import: " in text
    assert "Imported by: " in text
