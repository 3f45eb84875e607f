"""The house keeps its shape: imports point down, rooms keep to their trade, and `ls` tells the architecture.

Rows are listed from the ground up. A module may import from the rows below its own, at module level or lazily inside a
function; modules of one row do not know each other, unless the row is a whole room.
"""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

from tests.source import MODULES, ROOT, imports, own_imports, python_files, tops, tree

ROWS: tuple[tuple[str, ...], ...] = (
    ("pipeline.errors", "pipeline.logs"),
    ("pipeline.breaker",),
    ("pipeline.plan.networks", "pipeline.plan.chunks", "pipeline.plan.device", "pipeline.plan.edits"),
    (
        "pipeline.plan.spec",
        "pipeline.plan.components",
        "pipeline.plan.rates",
        "pipeline.plan.scenes",
        "pipeline.plan.coherence",
        "pipeline.plan.reencoding",
    ),
    ("pipeline.plan.following", "pipeline.plan.levels"),
    ("pipeline.plan.catalog", "pipeline.plan.memory", "pipeline.plan.limits"),
    ("pipeline.plan.combinations", "pipeline.plan.continuing", "pipeline.plan.keyframes", "pipeline.plan.sharing"),
    ("pipeline.plan.request",),
    ("pipeline.plan.placement", "pipeline.plan.cutting", "pipeline.plan.extending", "pipeline.plan.storyboard"),
    ("pipeline.plan.presets", "pipeline.plan.duration", "pipeline.plan.disk"),
    ("pipeline.plan.draft",),
    ("pipeline.plan.reasons",),
    ("pipeline.plan.planner",),
    ("pipeline.plan.alternatives", "pipeline.plan.recutting", "pipeline.plan.takes"),
    ("pipeline.plan.retreat",),
    ("pipeline.plan.say", "pipeline.plan.editing"),
    ("pipeline.events",),
    (
        "pipeline.gpu.attention",
        "pipeline.gpu.backend",
        "pipeline.gpu.revisions",
        "pipeline.gpu.threads",
        "pipeline.gpu.contents",
        "pipeline.gpu.folders",
        "pipeline.gpu.access",
        "pipeline.gpu.identity",
        "pipeline.gpu.interrupting",
        "pipeline.prompt.cache",
        "pipeline.video.*",
        "pipeline.drafts.*",
    ),
    (
        "pipeline.gpu.rates",
        "pipeline.gpu.tensors",
        "pipeline.prompt.encoding",
        "pipeline.prompt.mixing",
        "pipeline.settings",
        "pipeline.weights",
    ),
    ("pipeline.gpu.held", "pipeline.gpu.lora"),
    ("pipeline.seams.*",),
    ("pipeline.gpu.loading", "pipeline.repository"),
    ("pipeline.gpu.quantization", "pipeline.gpu.streaming", "pipeline.download", "pipeline.installed"),
    ("pipeline.gpu.residency", "pipeline.fetcher"),
    ("pipeline.models.base",),
    ("pipeline.models.*",),
    ("pipeline.models",),
    ("pipeline.restoring", "pipeline.running", "pipeline.conditioning", "pipeline.patience"),
    ("pipeline.reel",),
    ("pipeline.making",),
    ("pipeline.engine",),
    ("pipeline.heartbeat", "pipeline.holdings"),
    ("pipeline.serving", "pipeline.health"),
    ("pipeline.process", "pipeline.view"),
    ("pipeline.worker", "pipeline.leasing"),
    ("pipeline",),
    ("pipeline.metrics", "pipeline.signals", "pipeline.inventory"),
    ("pipeline.commands.*",),
    ("pipeline.__main__",),
    ("pipeline.studio.*",),
    ("app",),
)
TRAINING = "pipeline.training"
EMPTY = {name for name, path in MODULES.items() if path.name == "__init__.py" and not path.read_text().strip()}
LONGEST_FILE = 300
BANNED_WORDS = {"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"}
COMMAND = ["plan", "a red ball moves left over snow"]


def row_of(module: str) -> tuple[int, str]:
    """Index of a module's row and the entry that names it; an exact name wins over a room's."""
    for exact in (True, False):
        for index, row in enumerate(ROWS):
            for entry in row:
                if module == entry if exact else entry.endswith(".*") and module.startswith(entry[:-1]):
                    return index, entry
    raise AssertionError(f"{module} has no row: say in ROWS where it belongs")


HOUSE = sorted(name for name in MODULES if name not in EMPTY and not name.startswith(TRAINING))


@pytest.mark.parametrize("module", HOUSE)
def test_imports_point_down(module: str) -> None:
    row, entry = row_of(module)
    for name in own_imports(module) - EMPTY:
        assert not name.startswith(TRAINING), f"{module} imports {name}: the product knows nothing of the training"
        other_row, other_entry = row_of(name)
        within_room = entry == other_entry and entry.endswith(".*")
        assert other_row < row or within_room, f"{module} imports {name}, which is not below it"


def test_no_import_goes_round_in_a_circle() -> None:
    """At module level and lazily; `prepare` names the circle."""
    TopologicalSorter({module: own_imports(module) - EMPTY for module in MODULES}).prepare()


def test_training_imports_only_itself_of_the_house() -> None:
    for module in MODULES:
        if module.startswith(TRAINING):
            assert all(name.startswith(TRAINING) for name in own_imports(module)), module


def test_gradio_is_known_to_the_studio_and_the_composition_root_only() -> None:
    for module in MODULES:
        if not module.startswith("pipeline.studio") and module != "app":
            assert "gradio" not in tops(imports(module, lazy=True)), module


MODEL_LIBRARIES = {"torch", "diffusers", "transformers"}
LIGHT = re.compile(
    r"pipeline\.(plan\.|drafts\.|seams\.|gpu\.(contents|folders|threads)$|"
    r"(events|errors|weights|repository|download|breaker|fetcher|installed|inventory)$|commands.inventory$)"
)


@pytest.mark.parametrize("module", [module for module in HOUSE if LIGHT.match(module)])
def test_what_is_decided_and_kept_knows_no_model_library(module: str) -> None:
    assert not MODEL_LIBRARIES & tops(imports(module, lazy=True))


@pytest.mark.parametrize(
    "module",
    [m for m in HOUSE if re.match(r"(pipeline(\.heartbeat|\.serving|\.process|\.worker|\.__main__)?|app)$", m)],
)
def test_what_starts_first_imports_no_model_library_at_module_level(module: str) -> None:
    assert not MODEL_LIBRARIES & tops(imports(module, lazy=False))


def test_the_studio_knows_no_model_library() -> None:
    for module in HOUSE:
        if module.startswith("pipeline.studio"):
            assert not MODEL_LIBRARIES & tops(imports(module, lazy=True)), module


def test_the_engine_names_no_family() -> None:
    families = {"anyflow", "ltx", "wan"}
    words = re.findall(r"[a-z]+", MODULES["pipeline.engine"].read_text(encoding="utf-8").lower())
    assert not families & set(words)


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


HEAVY = "import sys; heavy = sorted({'torch', 'gradio', 'diffusers', 'transformers'} & set(sys.modules))"


def test_importing_the_package_imports_no_heavy_library() -> None:
    assert run(f"import pipeline; {HEAVY}; print(heavy)") == "[]\n"


def test_planning_on_the_command_line_imports_no_heavy_library() -> None:
    lines = [
        "import runpy, sys",
        f"sys.argv = ['pipeline', *{COMMAND!r}]",
        "try:",
        "    runpy.run_module('pipeline', run_name='__main__', alter_sys=True)",
        "except SystemExit as end:",
        "    code = end.code",
        HEAVY,
        "print('heavy:', heavy, 'code:', code)",
    ]
    assert run("\n".join(lines)).splitlines()[-1] == "heavy: [] code: 0"


def test_nothing_reads_the_environment_or_starts_a_program_while_imported() -> None:
    banned = re.compile(r"os\.(environ|getenv|putenv)|subprocess\.|open\(|probe_device\(")
    for module in MODULES:
        for node in tree(module).body:
            if isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign) and node.value is not None:
                assert not banned.search(ast.unparse(node.value)), f"{module}, line {node.lineno}"


def test_no_file_is_longer_than_a_person_reads_at_once() -> None:
    for path in python_files("pipeline", "tests", "app.py"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= LONGEST_FILE, f"{path.relative_to(ROOT)} has {lines} lines"


def words_of(name: str) -> set[str]:
    """`loadingManager` and `loading_manager` as their words, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def test_nothing_is_named_after_having_no_place() -> None:
    for path in python_files("pipeline", "tests", "app.py"):
        for part in path.relative_to(ROOT).with_suffix("").parts:
            assert not BANNED_WORDS & words_of(part), path
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                assert not BANNED_WORDS & words_of(node.name), f"{module}.{node.name}"


def public(nodes: list[ast.stmt], prefix: str = "") -> list[tuple[str, ast.AST]]:
    """Public functions and classes, with the public methods of the latter."""
    found: list[tuple[str, ast.AST]] = []
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            found.append((prefix + node.name, node))
            if isinstance(node, ast.ClassDef):
                found += public(node.body, f"{prefix}{node.name}.")
    return found


@pytest.mark.parametrize("module", sorted(set(MODULES) - EMPTY))
def test_everything_public_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(tree(module)), f"{module} begins without a docstring"
    for name, node in public(tree(module).body):
        assert ast.get_docstring(node), f"{module}.{name} has no docstring"
