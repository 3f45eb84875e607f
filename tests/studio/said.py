"""What the source says to people in English, read with `ast`: messages and hints of errors, reasons of plans. Nothing
is executed.

A sentence is its fixed parts, in order; between two of them stands a value. One that is put together from others, by a
name, a choice or a sum, is found in every form it can take.
"""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from itertools import product

from pipeline import errors
from pipeline.errors import DraftError
from pipeline.events import Failed
from tests.source import MODULES, tree

VALUE = None
Parts = tuple[str | None, ...]
Fixed = tuple[str, ...]
Function = ast.FunctionDef | ast.AsyncFunctionDef

ELSEWHERE = (
    *("app", "pipeline.__main__", "pipeline.commands", "pipeline.seams", "pipeline.plan.say"),
    *("pipeline.studio.credentials", "pipeline.studio.guard", "pipeline.studio.server"),  # before there is a page
    *("pipeline.studio.endpoints", "pipeline.training"),  # for programs, and for those who train the miniature
)
"""Modules whose sentences do not reach the page; nor do those of the package itself, which is for programs, too."""
INSTEAD = "_plain"  # in guard.py: what is said instead of the page
NOT_SHOWN = ("PresetError",)  # raised before there is a page

KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, DraftError) and name not in NOT_SHOWN
}
CALLS: dict[str, dict[str, int]] = {
    name: {
        parameter: place
        for place, parameter in enumerate(inspect.signature(kind).parameters)
        if parameter in ("message", "hint")
    }
    for name, kind in {**KINDS, "Failed": Failed}.items()
} | {
    "kind": {"message": 1, "hint": 2},  # an error, in drafts/journal.py
    "refusals": {"hint": 2},
    INSTEAD: {"said": 1},
    "_change": {"message": 0},  # of a download, in fetcher.py
    "Installation": {"obstacle": 6},
    "lines.append": {"object": 0},
    "setdefault": {"default": 1},
}
"""Where in a call sentences stand, by what is called: names of parameters, and their places."""


@cache
def sentences() -> dict[Fixed, str]:
    """The fixed parts of every sentence that can reach the page, and where it is written."""
    found: dict[Fixed, str] = {}
    for module in MODULES:
        elsewhere = module == "pipeline" or module.startswith(ELSEWHERE)
        for node in ast.walk(tree(module)):
            if not elsewhere or (isinstance(node, ast.Call) and ast.unparse(node.func) == INSTEAD):
                for expression in _said_in(node, module):
                    for parts in read(expression, module):
                        found.setdefault(fixed(parts), f"{module}, line {expression.lineno}")
    return {parts: place for parts, place in found.items() if any(map(str.strip, parts))}


def returned(module: str, name: str) -> list[Fixed]:
    """The fixed parts of everything that a function or property returns."""
    return [fixed(parts) for parts in _returned(_function(name, module, anywhere=True), module)]


def fixed(parts: Parts) -> Fixed:
    """What stands around the values; two values side by side are one."""
    texts, before = [""], ""
    for part in parts:
        if part is not VALUE:
            texts[-1] += part
        elif before is not VALUE or texts[-1]:
            texts.append("")
        before = part
    return tuple(texts)


def _said_in(node: ast.AST, module: str) -> Iterator[ast.expr]:
    """What a piece of source says: arguments of a call, elements of `reasons` and `lines`."""
    match node:
        case ast.Call(args=arguments, keywords=keywords):
            named = {keyword.arg: keyword.value for keyword in keywords}
            if isinstance(named.get("reasons"), ast.Tuple):
                yield from named["reasons"].elts
            for parameter, place in _places(node, module).items():
                if parameter in named:
                    yield named[parameter]
                else:
                    yield from arguments[place : place + 1]
        case ast.Assign(targets=[ast.Name(id="lines" | "reasons")], value=ast.List() | ast.Tuple() as several):
            yield from several.elts
        case ast.Assign(targets=[ast.Subscript(value=ast.Name(id="reasons"))], value=value):
            yield value


def _places(call: ast.Call, module: str) -> dict[str, int]:
    name = ast.unparse(call.func)
    if name == "super().__init__" and module == "pipeline.errors":
        own = next(above for above in _above(call, module) if isinstance(above, ast.ClassDef))
        base = ast.unparse(own.bases[0])
        return {} if own.name in NOT_SHOWN else CALLS.get(base, {})
    return CALLS.get(name) or CALLS.get(name.rpartition(".")[2], {})


def read(node: ast.AST, module: str) -> list[Parts]:
    """Every form that an expression of text can take."""
    match node:
        case ast.Constant(value=str() as text):
            return [(text,)]
        case ast.JoinedStr(values=values):
            return _joined([read(value, module) for value in values])
        case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
            return read(value, module)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined([read(left, module), read(right, module)])
        case ast.IfExp(body=body, orelse=other):
            return [*read(body, module), *read(other, module)]
        case ast.BoolOp(op=ast.Or(), values=[*_, last]):
            return read(last, module)
        case ast.Name(id=name):
            return _assigned(node, name, module) or [(VALUE,)]
        case ast.Call(func=ast.Name(id=name)) if (function := _function(name, module)) is not None:
            forms = _returned(function, _module_of(name, module))
            return forms if all(map(_is_worded, forms)) else [(VALUE,)]
    return [(VALUE,)]


def _joined(forms: list[list[Parts]]) -> list[Parts]:
    return [tuple(part for form in chosen for part in form) for chosen in product(*forms)]


def _is_worded(parts: Parts) -> bool:
    """Whether it begins as a sentence does, or is nothing at all; a number with its unit is a value."""
    return not parts or parts == ("",) or bool(parts[0] and parts[0][0].isupper())


def _returned(function: Function | None, module: str) -> list[Parts]:
    assert function is not None
    values = (node.value for node in ast.walk(function) if isinstance(node, ast.Return))
    return [parts for value in values if value is not None for parts in read(value, module)]


def _function(name: str, module: str, *, anywhere: bool = False) -> Function | None:
    """A function of a module, or one that it imports from the house; with `anywhere` a method, too."""
    own = tree(_module_of(name, module))
    nodes = ast.walk(own) if anywhere else own.body
    return next((node for node in nodes if isinstance(node, Function) and node.name == name), None)


def _module_of(name: str, module: str) -> str:
    """Where a name comes from: another module of the house, if it is imported from there."""
    for node in tree(module).body:
        if isinstance(node, ast.ImportFrom) and node.module in MODULES and name in [alias.name for alias in node.names]:
            return node.module
    return module


@cache
def _parents(module: str) -> dict[ast.AST, tuple[ast.AST, str]]:
    """What each node stands in, and in which of its fields."""
    return {
        child: (node, field)
        for node in ast.walk(tree(module))
        for field, value in ast.iter_fields(node)
        for child in (value if isinstance(value, list) else [value])
        if isinstance(child, ast.AST)
    }


def _above(node: ast.AST, module: str) -> Iterator[ast.AST]:
    """What a node stands in, from the innermost outwards."""
    while node in _parents(module):
        node, _ = _parents(module)[node]
        yield node


def _assigned(use: ast.AST, name: str, module: str) -> list[Parts]:
    """What a name can stand for where it is used: what was assigned to it before in its function, else in its module.

    Nothing for parameters, and for whatever a loop or a match gives its value. An empty text that it begins with is
    taken for one that something else replaces.
    """
    above = list(_above(use, module))
    function = next((node for node in above if isinstance(node, Function)), None)
    if function is None or not _bindings(function, name):
        source = _module_of(name, module)
        return [
            parts
            for node in tree(source).body
            if isinstance(node, ast.Assign)
            for value in _values(node, name)
            for parts in read(value, source)
        ]
    blocks = {_parents(module)[node] for node in (use, *above) if node in _parents(module)}
    forms: list[Parts] = []
    for node in _bindings(function, name):
        if node.lineno >= use.lineno:  # type: ignore[attr-defined]
            break
        certain = _parents(module)[node] in blocks
        if isinstance(node, ast.AugAssign):
            longer = _joined([forms, read(node.value, module)])
            forms = longer if certain else [*forms, *longer]
        else:
            new = [parts for value in _values(node, name) for parts in read(value, module)]
            forms = new if certain else [*forms, *new]
    return [parts for parts in forms if parts != ("",)] if len(_bindings(function, name)) > 1 else forms


def _bindings(function: Function, name: str) -> list[ast.Assign | ast.AugAssign]:
    """The assignments to a name in a function, in order."""
    nodes = [node for node in ast.walk(function) if isinstance(node, ast.Assign | ast.AugAssign)]
    return sorted((node for node in nodes if list(_values(node, name))), key=lambda node: node.lineno)


def _values(node: ast.Assign | ast.AugAssign, name: str) -> Iterator[ast.expr]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        pairs = [(target, node.value)]
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = list(zip(target.elts, node.value.elts, strict=True))
        yield from (value for one, value in pairs if isinstance(one, ast.Name) and one.id == name)
