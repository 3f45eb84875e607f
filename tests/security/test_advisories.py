"""Libraries are asked for from where what concerns us was mended in them, and nothing that was downloaded is run."""

import ast
import re
import tomllib
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.source import MODULES, ROOT, tree

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MENDED = {
    "gradio": ("6.20", "CVE-2026-59806: redirect and server-side request through /file="),
    "transformers": ("5.3", "CVE-2026-4372: code in a checkpoint's config.json, without trust_remote_code"),
    "torch": ("2.6", "CVE-2025-32434: code in a file of weights, though weights_only was asked for"),
    "starlette": ("0.40", "CVE-2024-47874: a form field without end"),
    "pillow": ("10.3", "CVE-2024-28219: a buffer written over its end"),
}


@pytest.mark.parametrize("name", MENDED)
def test_a_library_is_asked_for_from_where_it_was_mended(name: str) -> None:
    wanted = {found.name: found for found in map(Requirement, PROJECT["dependencies"])}[name]
    (lowest,) = [Version(part.version) for part in wanted.specifier if part.operator == ">="]
    assert lowest >= Version(MENDED[name][0]), MENDED[name][1]
    assert Version(version(name)) >= Version(MENDED[name][0])


RUNS = re.compile(r"eval|exec|compile|(pickle|marshal|dill|joblib|yaml)\.loads?|os\.(system|popen)|runpy\..*")


def calls(module: str) -> list[ast.Call]:
    return [node for node in ast.walk(tree(module)) if isinstance(node, ast.Call)]


@pytest.mark.fault(21)
@pytest.mark.parametrize("module", sorted(MODULES))
def test_nothing_that_was_downloaded_is_run(module: str) -> None:
    for call in calls(module):
        name = ast.unparse(call.func)
        assert not RUNS.fullmatch(name), name
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        assert not {"custom_pipeline", "custom_revision"} & set(given), name
        assert ast.unparse(given.get("trust_remote_code", ast.Constant(False))) == "False", name
        shell = given.get("shell")
        assert shell is None or (isinstance(shell, ast.Constant) and shell.value is False), name
        if name.endswith("torch.load"):
            assert ast.unparse(given.get("weights_only", ast.Constant(False))) == "True", module
        if name.endswith(".from_pretrained") and {"dtype", "torch_dtype"} & set(given):  # weights, no configuration
            assert ast.unparse(given.get("use_safetensors", ast.Constant(False))) == "True", module
