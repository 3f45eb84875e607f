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


PAGE, PROGRAMS = "tests/security/test_live_page.py", "tests/gpu/test_programs.py"
ANSWERED = {
    "CVE-2021-43831, files by their paths": (PAGE, "test_no_path_leads_to_a_secret"),
    "CVE-2023-34239, files and other servers by their paths": (PAGE, "test_no_path_leads_to_another_server"),
    "CVE-2023-51449, files through /file": (PAGE, "test_cve_2023_51449_and_2024_1561_no_file_route"),
    "CVE-2024-1561, files through a component": (PAGE, "test_cve_2023_51449_and_2024_1561_no_file_route"),
    "CVE-2024-1728, uploads to anywhere": (PAGE, "test_cve_2026_28416_and_2024_1728_no_proxy_and_no_upload"),
    "CVE-2024-4941, a path in the place of a value": (PAGE, "test_what_is_no_drafts_name_finds_no_draft"),
    "CVE-2024-8966, a boundary without end": (PAGE, "test_cve_2024_8966_a_boundary_without_end_is_not_read"),
    "CVE-2024-10569, a zip that grows": ("tests/studio/test_server.py", "test_nothing_on_the_page_takes_a_file"),
    "CVE-2024-47084, CVE-2024-47165, other origins": (PAGE, "test_cve_2024_47084_and_47165_no_other_origin"),
    "CVE-2024-47166, files through custom_component": (PAGE, "test_no_path_leads_to_a_secret"),
    "CVE-2024-47167, server-side requests": (
        PAGE,
        "test_cve_2024_47167_no_server_side_request_through_the_queue",
    ),
    "CVE-2024-47868, a path in any component's value": (
        PAGE,
        "test_cve_2024_47167_no_server_side_request_through_the_queue",
    ),
    "CVE-2024-47872, markup in an upload": (PAGE, "test_cve_2026_28416_and_2024_1728_no_proxy_and_no_upload"),
    "CVE-2024-51751, files through File and UploadButton": (
        "tests/studio/test_server.py",
        "test_nothing_on_the_page_takes_a_file",
    ),
    "CVE-2025-23042, capitals in a path": (PAGE, "test_cve_2025_23042_case_does_not_matter"),
    "CVE-2026-4372, code in config.json": (PROGRAMS, "test_a_program_in_the_folder_never_runs"),
    "CVE-2026-28414, absolute paths with a drive": (PAGE, "test_no_path_leads_to_a_secret"),
    "CVE-2026-28416, a proxy": (PAGE, "test_cve_2026_28416_and_2024_1728_no_proxy_and_no_upload"),
}
"""What was published of Gradio and transformers and concerns a page of this kind, and the test that asks for it."""


@pytest.mark.parametrize("advisory", ANSWERED)
def test_an_advisory_has_its_regression_test(advisory: str) -> None:
    """By a name that is there, of a test that always runs."""
    file, name = ANSWERED[advisory]
    module = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    (test,) = (node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == name)
    assert not any("slow" in ast.unparse(mark) for mark in test.decorator_list)


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
