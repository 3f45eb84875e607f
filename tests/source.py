"""The repository read as text: which modules there are and what each imports. Nothing is executed."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def module_name(path: Path) -> str:
    """`pipeline/plan/chunks.py` as `pipeline.plan.chunks`, a package's `__init__` as the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def python_files(*places: str) -> list[Path]:
    """Every Python file in the given folders and files of the repository."""
    found = [ROOT / place for place in places if place.endswith(".py")]
    for place in places:
        found += (ROOT / place).rglob("*.py") if not place.endswith(".py") else []
    return sorted(found)


MODULES = {module_name(path): path for path in python_files("pipeline", "app.py")}


@cache
def tree(module: str) -> ast.Module:
    """A module's syntax tree."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@cache
def imports(module: str, *, lazy: bool) -> frozenset[str]:
    """Modules that a module imports, by full name; with `lazy`, those inside functions too.

    `from pipeline.plan import chunks` counts as `pipeline.plan.chunks`. What only type checkers see does not count
    as imported at module level.
    """
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    found: set[str] = set()
    nodes: list[ast.AST] = [tree(module)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                found.add(f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base)
        deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        )
        if lazy or not deferred:
            nodes += ast.iter_child_nodes(node)
    return frozenset(found - {module})


def own_imports(module: str) -> set[str]:
    """The repository's own modules among the imports, lazy ones included."""
    return {name for name in imports(module, lazy=True) if name in MODULES}


def tops(names: frozenset[str]) -> set[str]:
    """The top-level packages of imported names."""
    return {name.partition(".")[0] for name in names}
