"""What the papers say is what is there: the README's tree, the dependencies, the licence, the tree of errors."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from huggingface_hub import SpaceCard
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import pipeline
from pipeline import errors
from pipeline.plan.catalog import CATALOG
from tests.source import MODULES, ROOT, imports, tops

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = re.compile(r"[\w.-]+")


def normal(distribution: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def readme_tree() -> list[str]:
    """Lines of the first text block under a heading with "tree" or "layout" in it."""
    readme = ROOT / "README.md"
    assert readme.exists(), "there is no README.md yet"
    text = readme.read_text(encoding="utf-8")
    block = re.search(r"^#+[^\n]*\b(?:tree|layout)\b.*?^```text\n(.*?)^```", text, re.I | re.S | re.M)
    assert block, "README.md has no text block under a heading with 'tree' or 'layout' in it"
    return block[1].splitlines()


def names_in(line: str) -> list[str]:
    """The files and folders a line of the tree starts with, before its explanation.

    `    request.py catalog.py` lists two files; `  gpu/     put weights on the card` one folder.
    """
    names: list[str] = []
    for word in line.split():
        if not re.fullmatch(r"[\w.*/-]+(?:/|\.\w+)|LICENSE", word):
            break
        names.append(word)
    return names


def listed() -> dict[str, set[str]]:
    """The tree as folder -> names in it; the repository's root is ``""``."""
    tree: dict[str, set[str]] = {"": set()}
    folders: list[tuple[int, str]] = []  # indentation and path of the folders a line lies in
    for line in readme_tree():
        indentation = len(line) - len(line.lstrip())
        folders = [(deep, path) for deep, path in folders if deep < indentation]
        parent = folders[-1][1] if folders else ""
        names = names_in(line)
        tree.setdefault(parent, set()).update(names)
        if names and names[0].endswith("/"):
            folders.append((indentation, parent + names[0]))
    return tree


def on_disk(folder: str) -> set[str]:
    """Rooms and Python files of a folder, `__init__.py` of an empty room aside."""
    found = set()
    for path in (ROOT / folder).iterdir():
        if path.is_dir() and any(path.rglob("*.py")):
            found.add(f"{path.name}/")
        elif path.suffix == ".py" and path.read_text(encoding="utf-8").strip():
            found.add(path.name)
    return found


def test_the_readmes_tree_names_every_room_and_file_of_the_pipeline() -> None:
    assert listed()["pipeline/"] == on_disk("pipeline")


def test_the_readmes_tree_lists_the_files_of_a_room_completely_or_not_at_all() -> None:
    for folder, names in listed().items():
        files = {name for name in names if name.endswith(".py")}
        if folder.startswith("pipeline/") and folder != "pipeline/" and files:
            assert files == on_disk(folder), folder


def test_everything_in_the_readmes_tree_exists() -> None:
    for folder, names in listed().items():
        for name in names:
            assert list(ROOT.glob(f"{folder}{name}".rstrip("/"))), f"{folder}{name}"


def test_spaces_install_what_the_project_depends_on() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == PROJECT["dependencies"]


def test_the_readme_says_how_spaces_start_it() -> None:
    card = SpaceCard.load(ROOT / "README.md").data
    assert (card.sdk, card.license) == ("gradio", PROJECT["license"].lower())
    assert (ROOT / card.app_file).is_file()
    (gradio,) = (Requirement(line) for line in PROJECT["dependencies"] if line.startswith("gradio"))
    assert gradio.specifier.contains(card.sdk_version)
    assert SpecifierSet(PROJECT["requires-python"]).contains(card.python_version)
    known = {spec.repository for spec in CATALOG.values()} | {f.repository for s in CATALOG.values() for f in s.files}
    assert card.models
    assert set(card.models) <= known


def test_every_library_that_is_imported_is_a_declared_dependency() -> None:
    def names(lines: list[str]) -> set[str]:
        return {normal(NAME.match(line)[0]) for line in lines}

    optional = PROJECT["optional-dependencies"]
    declared, extras = names(PROJECT["dependencies"]), names(optional["plot"]) | names(optional["space"])
    providers = packages_distributions()
    for module in MODULES:
        for lazy, allowed in ((False, declared), (True, declared | extras)):
            for top in tops(imports(module, lazy=lazy)) - sys.stdlib_module_names - {"pipeline", "app"}:
                distributions = {normal(name) for name in providers.get(top, [top])}
                assert distributions & allowed, f"{module} imports {top}, which pyproject.toml does not ask for"


def test_the_version_is_the_same_everywhere() -> None:
    assert pipeline.__version__ == PROJECT["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(PROJECT['version'])}\b", changelog, re.M)


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_tree_of_errors_names_every_error_and_its_parent() -> None:
    drawn = re.findall(r"^ *[*x+] (\w+)", errors.__doc__, re.M)
    defined = [name for name, value in vars(errors).items() if isinstance(value, type)]
    assert sorted(drawn) == sorted(defined)
    parent = errors.DraftError
    for mark, name in re.findall(r"^(  x|    \+) (\w+)", errors.__doc__, re.M):
        assert getattr(errors, name).__base__ is (errors.DraftError if mark == "  x" else parent), name
        parent = getattr(errors, name) if mark == "  x" else parent


def test_a_stop_is_no_error_that_anybody_sees() -> None:
    assert not issubclass(errors.StopRequested, errors.DraftError)


@pytest.mark.parametrize("hint", ["", "Do something else."])
def test_an_error_is_shown_with_its_hint_and_without_a_gap(hint: str) -> None:
    error = errors.ModelUnavailable("ltx-2b", "The weights are missing.", hint)
    assert str(error) == f"The weights are missing. {hint}".strip()
    assert (error.message, error.hint, error.model) == ("The weights are missing.", hint, "ltx-2b")
