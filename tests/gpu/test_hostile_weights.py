"""Weights that somebody damaged, mixed up or made to do harm: each is named and refused, before it is used."""

import json
import pickle
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file
from torch import Tensor

from pipeline.errors import ModelUnavailable
from pipeline.gpu.folders import check_own_folder, find_damage
from pipeline.gpu.loading import check_folder, find_checkpoint
from pipeline.gpu.tensors import Stored, read_tensor
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.spec import Component
from tests.source import ROOT

PARTS = tuple(MINIATURE.networks)
FILES = {
    Component.TEXT_ENCODER: "model.safetensors",
    Component.TRANSFORMER: "diffusion_pytorch_model.safetensors",
    Component.VAE: "diffusion_pytorch_model.safetensors",
}
WHOLE = save({"weight": torch.zeros(4, 4), "bias": torch.zeros(4)})
DATA = WHOLE[8 + struct.unpack("<Q", WHOLE[:8])[0] :]


def with_header(header: object, *, length: int | None = None, data: bytes = DATA) -> bytes:
    """A file with that header, which says it has `length` bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(start: int = 0, stop: int = 64, shape: object = (4, 4), dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


CORPUS = {
    "empty": b"",
    "a page": b"<html>Pay for your coffee first</html>",
    "a pickle": pickle.dumps({"weight": [0.0] * 16}),
    "less than a length": WHOLE[:5],
    "cut in the header": WHOLE[:40],
    "cut in the data": WHOLE[:-1],
    "more than it says": WHOLE + b"\0",
    "a header longer than the file": with_header({"weight": entry()}, length=2**20),
    "a header of 9 exabytes": with_header({"weight": entry()}, length=2**63),
    "a header of all there can be": with_header({"weight": entry()}, length=2**64 - 1),
    "no JSON": with_header(b"{" * 64),
    "no text": with_header(b"\xff\xfe" * 32),
    "a list": with_header([]),
    "nested without end": with_header(b'{"a":' * 5000),
    "a tensor past the end": with_header({"weight": entry(stop=2**40, shape=[2**38])}),
    "a tensor of 2^90 bytes": with_header({"weight": entry(shape=[2**44, 2**44])}),
    "a shape of another size": with_header({"weight": entry(shape=[4, 5])}),
    "a negative shape": with_header({"weight": entry(shape=[-4, -4])}),
    "negative offsets": with_header({"weight": entry(start=-64, stop=0)}),
    "offsets in the wrong order": with_header({"weight": entry(start=64, stop=0)}),
    "overlapping tensors": with_header({"a": entry(), "b": entry(start=32, stop=80, shape=[12])}),
    "a hole between tensors": with_header({"a": entry(stop=16, shape=[4]), "b": entry(start=32, stop=80, shape=[12])}),
    "an unknown kind of number": with_header({"weight": entry(dtype="F33")}),
    "no offsets": with_header({"weight": {"dtype": "F32", "shape": [4, 4]}}),
}


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """A whole checkpoint that a test may break."""
    return Path(shutil.copytree(tiny, tmp_path / "miniature"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The shipped miniature as somebody's own."""
    return Path(shutil.copytree(ROOT / "assets" / "miniature", tmp_path / "mine"))


def refusal(folder: Path) -> ModelUnavailable:
    with pytest.raises(ModelUnavailable) as refused:
        check_folder("miniature", folder, PARTS).load(Component.TRANSFORMER, torch.float32)
    assert "\n" not in str(refused.value)
    assert refused.value.hint
    return refused.value


# Files that are none ------------------------------------------------------------------------------------------------
@pytest.mark.fault(19)
@pytest.mark.parametrize("content", CORPUS.values(), ids=CORPUS)
def test_what_is_no_safetensors_file_is_named_and_refused(folder: Path, content: bytes) -> None:
    path = folder / "transformer" / FILES[Component.TRANSFORMER]
    path.write_bytes(content)
    assert find_damage(path)
    with pytest.raises(ModelUnavailable, match=re.escape(str(path))):
        check_folder("miniature", folder, PARTS)


def test_a_file_that_is_one_is_not_refused(folder: Path) -> None:
    path = folder / "transformer" / "whole.safetensors"
    path.write_bytes(WHOLE)
    assert not find_damage(path)


READS_ALL = """
import resource, sys
from pathlib import Path
from pipeline.gpu.folders import find_damage
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sorted(Path(sys.argv[1]).iterdir()):
    assert find_damage(path), path
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.fault(19)
@pytest.mark.skipif(sys.platform != "linux", reason="kilobytes of resident memory")
def test_no_refusal_takes_the_memory_that_a_header_promises(tmp_path: Path) -> None:
    for index, content in enumerate(CORPUS.values()):
        (tmp_path / f"{index:02d}.safetensors").write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", READS_ALL, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 64  # MiB


@pytest.mark.fault(19)
@pytest.mark.parametrize("name", ["a header longer than the file", "overlapping tensors", "cut in the data"])
def test_ones_own_folder_with_such_a_file_is_refused(own: Path, name: str) -> None:
    path = own / "vae" / FILES[Component.VAE]
    path.write_bytes(CORPUS[name])
    with pytest.raises(ModelUnavailable, match=re.escape(str(path))):
        check_own_folder(replace(MINIATURE, folder=own))


# Another network's --------------------------------------------------------------------------------------------------
Change = Callable[[dict[str, Tensor]], object]


def drop(tensors: dict[str, Tensor]) -> None:
    del tensors[max(tensors)]


def widen(tensors: dict[str, Tensor]) -> None:
    name = next(name for name in sorted(tensors) if tensors[name].ndim > 1)
    tensors[name] = torch.zeros(tensors[name].shape[0] + 8, *tensors[name].shape[1:])


def deepen(tensors: dict[str, Tensor]) -> None:
    name = next(name for name in sorted(tensors) if ".0." in name)
    tensors[name.replace(".0.", ".7.", 1)] = torch.zeros(2)


def rename(tensors: dict[str, Tensor]) -> None:
    for index, name in enumerate(list(tensors)):
        tensors[f"model.{index}"] = tensors.pop(name)


def rewrite(folder: Path, component: Component, change: Change) -> Path:
    path = folder / component / FILES[component]
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})
    return path


@pytest.mark.fault(20)
@pytest.mark.parametrize("component", PARTS)
@pytest.mark.parametrize(
    ("change", "said"),
    [(drop, "misses"), (widen, "is for another model"), (deepen, "is for another model"), (rename, "misses")],
)
def test_another_network_s_weights_are_refused_before_they_are_read(
    folder: Path, component: Component, change: Change, said: str
) -> None:
    """diffusers and transformers fill up what is missing with noise and a warning, and leave out what is too much."""
    rewrite(folder, component, change)
    with pytest.raises(ModelUnavailable, match=rf"{folder / component}\S* {said}"):
        check_folder("miniature", folder, PARTS)


@pytest.mark.fault(20)
def test_ones_own_folder_with_another_network_s_weights_is_refused(own: Path) -> None:
    rewrite(own, Component.TRANSFORMER, deepen)
    with pytest.raises(ModelUnavailable, match="is for another model"):
        find_checkpoint(replace(MINIATURE, folder=own))


@pytest.mark.parametrize("component", PARTS)
def test_what_a_publisher_left_beside_the_network_is_none_of_it(folder: Path, component: Component) -> None:
    rewrite(folder, component, lambda tensors: tensors.update({"somebody.elses.0.weight": torch.zeros(2)}))
    check_folder("miniature", folder, PARTS)


# Values that are none -----------------------------------------------------------------------------------------------
@pytest.mark.fault(20)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("component", PARTS)
def test_values_that_are_no_numbers_are_refused_with_the_tensor_s_name(
    folder: Path, component: Component, dtype: torch.dtype, value: float
) -> None:
    named = list[str]()

    def spoil(tensors: dict[str, Tensor]) -> None:
        named.append(next(n for n in sorted(tensors) if "weight" in n and not n.startswith("encoder.conv")))
        tensors[named[0]] = tensors[named[0]].clone()
        tensors[named[0]].view(-1)[-1] = value

    rewrite(folder, component, spoil)
    checkpoint = check_folder("miniature", folder, PARTS)
    with pytest.raises(ModelUnavailable, match=rf"{re.escape(named[0])} holds values that are no numbers"):
        checkpoint.load(component, dtype)
    with pytest.raises(ModelUnavailable, match=rf"{re.escape(named[0])} holds values that are no numbers"):
        list(checkpoint.tensors(component, named))


@pytest.mark.parametrize("tensor", [torch.zeros(0), torch.zeros(()), torch.full((3,), 3e38), -torch.ones(2, 2)])
def test_any_number_is_one(tmp_path: Path, tensor: Tensor) -> None:
    save_file({"a": tensor}, tmp_path / "a.safetensors")
    assert torch.equal(read_tensor("m", Stored(tmp_path / "a.safetensors", "a", tuple(tensor.shape))), tensor)
