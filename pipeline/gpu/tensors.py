"""Where each tensor of a network lies: in which safetensors file, and under which name there.

A checkpoint published as one file names its tensors as its authors do. diffusers' own conversions tell which is which:
they are given places instead of tensors, so that nothing is read and every tensor can be asked for by itself. Their
`from_single_file` opens a network whole, passes over what it has no place for with a warning, asks the internet for a
file that is missing, and unpickles one that is not called safetensors.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipeline.errors import ModelUnavailable
from pipeline.gpu.backend import is_out_of_memory

DTYPES = ("F64", "F32", "F16", "BF16")  # safetensors' names; others are quantized, with scales only their makers know
INSTALL = "Delete what is there and install it again."


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor in a file, as it is named and shaped there."""

    file: Path
    name: str
    shape: tuple[int, ...]


def list_tensors(model: str, files: Iterable[Path]) -> dict[str, Stored]:
    """Every tensor of some files, by its name. Raises ModelUnavailable naming a file that is not whole."""
    found = dict[str, Stored]()
    for file in files:
        with refusals(model, file), safe_open(file, framework="pt") as tensors:
            parts = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118 - no mapping
            strange = next((part.get_dtype() for part in parts.values() if part.get_dtype() not in DTYPES), "")
            found |= {name: Stored(file, name, tuple(part.get_shape())) for name, part in parts.items()}
        if strange:
            said = f"{file} holds weights in {strange}, and Rushes reads {', '.join(DTYPES)}."
            raise ModelUnavailable(model, said, "Take the checkpoint in 16 bits; Rushes makes 8 and 4 bits itself.")
    return found


def list_originals(model: str, file: Path, class_name: str) -> dict[str, Stored]:
    """The tensors of one network in a file that names them as its authors do, by the names diffusers' class has.

    Raises:
        ModelUnavailable: when the file is not whole, or holds nothing that is converted to that class.
    """
    there = list_tensors(model, [file])
    try:
        named: dict[str, Stored] = SINGLE_FILE_LOADABLE_CLASSES[class_name]["checkpoint_mapping_fn"](checkpoint=there)
    except LookupError as error:
        raise ModelUnavailable(model, f"{file} holds no {class_name} as its authors store it.", INSTALL) from error
    return named


def read_tensor(model: str, stored: Stored, place: str = "cpu") -> Tensor:
    """A tensor as stored, at `place`. Raises ModelUnavailable, also for values that are no numbers."""
    with refusals(model, stored.file), safe_open(stored.file, framework="pt") as tensors:
        tensor: Tensor = tensors.get_tensor(stored.name)
        tensor = tensor.to(place)
    check_finite(model, stored.file, ((stored.name, tensor),))
    return tensor


def check_finite(model: str, file: Path, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Refuse NaN and infinities, which would make every picture black: the smallest and the largest value show them.

    One pass over each tensor where it lies, and no memory.

    Raises:
        ModelUnavailable: naming the first tensor that has some.
    """
    for name, tensor in tensors:
        if tensor.numel() and not all(end.isfinite() for end in tensor.aminmax()):
            said = f"{file} is damaged: {name} holds values that are no numbers in {str(tensor.dtype)[6:]}."
            raise ModelUnavailable(model, said, INSTALL)


@contextmanager
def refusals(model: str, path: Path, hint: str = INSTALL) -> Iterator[None]:
    """Whatever a library says about a file that is not what it should be, as ModelUnavailable naming the file."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelUnavailable(model, f"{path} cannot be read: {reason}", hint) from error
