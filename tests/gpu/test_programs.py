"""What comes with weights and is a program never runs: pickles, and classes of a repository's own."""

import ast
import json
import pickle
from pathlib import Path

import pytest
import torch

from pipeline.errors import ModelUnavailable
from pipeline.gpu.loading import check_folder
from pipeline.plan.spec import Component
from tests.gpu.test_hostile_weights import FILES, PARTS, folder
from tests.source import MODULES, tree

__all__ = ["folder"]


class Canary:
    """Runs when it is unpickled."""

    def __init__(self, cage: Path) -> None:
        self.cage = cage

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.cage,)


@pytest.mark.fault(21)
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.ckpt", "model.pth", "model.safetensors"])
@pytest.mark.parametrize("component", PARTS)
def test_a_pickle_never_runs_whatever_it_is_called(
    folder: Path, tmp_path: Path, component: Component, name: str
) -> None:
    cage = tmp_path / "escaped"
    (folder / component / FILES[component]).unlink()
    (folder / component / name).write_bytes(pickle.dumps(Canary(cage)))
    with pytest.raises(ModelUnavailable):
        check_folder("miniature", folder, PARTS)
    assert not cage.exists()


@pytest.mark.fault(21)
@pytest.mark.parametrize("where", ["tokenizer", "transformer", "vae", "text_encoder", "scheduler"])
def test_a_program_in_the_folder_never_runs(folder: Path, tmp_path: Path, where: str) -> None:
    cage = tmp_path / "escaped"
    (folder / where / "evil.py").write_text(f"open({str(cage)!r}, 'w')\nclass Evil: pass\n")
    for path in (folder / where).glob("*config.json"):
        named = {"auto_map": dict.fromkeys(("AutoTokenizer", "AutoModel", "AutoConfig"), "evil.Evil")}
        path.write_text(json.dumps(json.loads(path.read_text()) | named | {"custom_pipeline": "evil"}))
    checkpoint = check_folder("miniature", folder, PARTS)
    checkpoint.tokenizer()
    checkpoint.scheduler()
    for component in PARTS:
        checkpoint.load(component, torch.float32)
    assert not cage.exists()


@pytest.mark.fault(21)
def test_a_tokenizer_that_needs_its_own_program_is_refused_without_a_question(folder: Path, tmp_path: Path) -> None:
    cage = tmp_path / "escaped"
    (folder / "tokenizer" / "evil.py").write_text(f"open({str(cage)!r}, 'w')\nclass Evil: pass\n")
    path = folder / "tokenizer" / "tokenizer_config.json"
    named = {"auto_map": {"AutoTokenizer": ["evil.Evil", None]}, "tokenizer_class": "Evil"}
    path.write_text(json.dumps(json.loads(path.read_text()) | named))
    with pytest.raises(ModelUnavailable, match="tokenizer cannot be read"):
        check_folder("miniature", folder, PARTS).tokenizer()
    assert not cage.exists()


UNPICKLERS = {"torch.load", "pickle.load", "pickle.loads", "joblib.load", "numpy.load", "np.load"}
FETCHERS = {"hf_hub_download", "snapshot_download", "model_info", "http_get", "hf_hub_url", "try_to_load_from_cache"}
FROM_THE_CATALOG = {"spec.repository", "file.repository", "repository"}


@pytest.mark.fault(21)
def test_nothing_in_the_source_trusts_a_repository_s_code_or_unpickles() -> None:
    for module in MODULES:
        if module.startswith("pipeline.training"):
            continue
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.keyword) and node.arg in ("trust_remote_code", "use_safetensors", "weights_only"):
                wanted = node.arg != "trust_remote_code"
                assert isinstance(node.value, ast.Constant), module
                assert node.value.value is wanted, f"{module}, line {node.value.lineno}"
            if isinstance(node, ast.keyword):
                assert node.arg != "custom_pipeline", module
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in UNPICKLERS, f"{module}, line {node.lineno}"


def test_only_the_catalog_s_repositories_are_asked_for() -> None:
    found = list[str]()
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in FETCHERS:
                called = ast.unparse(node.func).rpartition(".")[2]
                found.append(called)
                if called != "http_get":  # whose address `hf_hub_url` makes
                    assert ast.unparse(node.args[0]) in FROM_THE_CATALOG, f"{module}, line {node.lineno}"
    assert set(found) == FETCHERS
