"""A folder of one's own in diffusers' layout: is it the model it is given for, and is it whole?

Told from its JSON files and from the headers of its safetensors, a few kilobytes each, without torch. Pickles are never
opened.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from pipeline.errors import InvalidRequest, ModelUnavailable
from pipeline.plan.catalog import CATALOG, find_model
from pipeline.plan.spec import Component, Family, ModelSpec

INDEX = "model_index.json"
PIPELINES = {  # of diffusers 0.42, that are made of the components Rushes opens
    Family.ANYFLOW: ("AnyFlowFARPipeline",),
    Family.LTX: ("LTXConditionPipeline", "LTXPipeline", "LTXImageToVideoPipeline"),
    Family.WAN: ("WanPipeline",),
}
WEIGHTS = {Component.TEXT_ENCODER: "model.safetensors"}  # as transformers calls its files
DIFFUSERS_WEIGHTS = "diffusion_pytorch_model.safetensors"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
SHAPELESS = ("tie_word_embeddings",)  # transformers 5 ties T5's words, whatever is said there
LONGEST_VALUE = 80  # characters
UNREADABLE = (OSError, ValueError, RecursionError)


def read_folders(named: Iterable[str]) -> dict[str, Path]:
    """Folders by model, from `MODEL=DIR` as `--weights` is given; each is checked.

    Raises:
        InvalidRequest: where it is not said so, there is no such model, or a folder cannot be read.
        ModelUnavailable: as `check_own_folder` does.
    """
    folders = dict[str, Path]()
    for text in named:
        key, equals, name = text.partition("=")
        if not (key and equals and name):
            raise InvalidRequest("weights", f"--weights {text} names no folder.", "Say --weights MODEL=DIR.")
        folders[key] = Path(name).expanduser().absolute()
        try:
            check_own_folder(find_model(key).kept_in(folders[key]))
        except OSError as error:
            raise InvalidRequest("weights", f"{folders[key]} cannot be read: {error.strerror}.") from error
    return folders


def check_own_folder(spec: ModelSpec) -> Path:
    """`spec.folder`, when it holds that model, whole.

    Raises:
        ModelUnavailable: in one sentence, before anything big is read.
    """
    folder = spec.folder
    assert folder is not None
    if not folder.is_dir():
        kind = "a file, not a folder" if folder.exists() else "not a folder"
        raise ModelUnavailable(spec.key, f"{folder} is {kind}.", f"Give the folder that holds {INDEX}.")
    if not (folder / INDEX).is_file():
        raise ModelUnavailable(spec.key, f"{folder} has no {INDEX}.", "Give a folder in diffusers' layout.")
    difference = _first_difference(spec, folder)
    if difference:
        other = next((other for other in CATALOG.values() if _is_architecture_of(other, folder)), None)
        hint = f"It has the shapes of {other.title}: --weights {other.key}={folder}" if other else ""
        raise ModelUnavailable(spec.key, f"{folder} is not {spec.title}: {difference}.", hint)
    for component in spec.networks:
        for path in _weight_files(spec, folder / component, component):
            if damage := find_damage(path):
                raise ModelUnavailable(spec.key, f"{path} is damaged: {damage}.", "Copy or download it again.")
    for part in ("tokenizer", "scheduler"):
        if not (folder / part).is_dir():
            raise ModelUnavailable(spec.key, f"{folder} has no {part}.", "Copy the whole folder.")
    return folder


def find_damage(path: Path) -> str:
    """Why a safetensors file cannot be one; empty for a good one and for every other file. Reads its header only."""
    if path.suffix != ".safetensors":
        return ""
    try:
        with safe_open(path, framework="np") as weights:
            weights.keys()
    except (SafetensorError, OSError, ValueError) as error:
        return str(error).splitlines()[0]
    return ""


def _is_architecture_of(spec: ModelSpec, folder: Path) -> bool:
    try:
        return not _first_difference(spec, folder)
    except ModelUnavailable:
        return False


def _first_difference(spec: ModelSpec, folder: Path) -> str:
    """Where classes or shapes are not the catalog's; empty where they are."""
    index = _read(spec, folder / INDEX)
    pipeline = index.get("_class_name")
    if pipeline not in PIPELINES[spec.family]:
        said = f"its pipeline is {_short(pipeline)}" if pipeline else "it names no pipeline"
        return f"{said}, not {PIPELINES[spec.family][0]}"
    for component, network in spec.networks.items():
        entry = index.get(component)
        name = entry[1] if isinstance(entry, list) and len(entry) == 2 else None
        if name is None:
            return f"it has no {component}"
        if name != network.class_name:
            return f"its {component} is {_short(name)}, not {network.class_name}"
        stored = _read(spec, folder / component / "config.json")
        for key, value in network.config.items():
            there = stored.get(key)  # none: the class's own value
            if there is not None and key not in SHAPELESS and _shape(there) != _shape(value):
                return f"{key} of its {component} is {_short(there)}, not {_plain(value)}"
    return ""


def _short(value: Any) -> str:
    """For a sentence, whatever stands in somebody's file."""
    return repr(value)[:LONGEST_VALUE].strip("'")


def _plain(value: Any) -> Any:
    """As JSON has it."""
    return [_plain(part) for part in value] if isinstance(value, tuple | list) else value


def _shape(value: Any) -> Any:
    """A value of a configuration as far as it decides on shapes: of fractions only how many there are."""
    if isinstance(value, tuple | list):
        return [_shape(part) for part in value]
    return "a fraction" if isinstance(value, float) else value


def _weight_files(spec: ModelSpec, folder: Path, component: Component) -> Iterator[Path]:
    """Of a component, in one file or in shards, as diffusers and transformers look for them."""
    name = WEIGHTS.get(component, DIFFUSERS_WEIGHTS)
    index = folder / f"{name}.index.json"
    if (folder / name).is_file():
        yield folder / name
    elif index.is_file():
        shards = _read(spec, index).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise ModelUnavailable(spec.key, f"{index} names no files.", "Copy or download it again.")
        here = {path.name for path in folder.iterdir() if path.is_file()}
        for shard in sorted(set(map(str, shards.values()))):
            if shard not in here:
                raise ModelUnavailable(spec.key, f"{folder} misses {shard}.", "Copy or download it again.")
            yield folder / shard
    else:
        pickle = next((path for pattern in PICKLES for path in sorted(folder.glob(pattern))), None)
        if pickle:
            said = f"{folder} holds {pickle.name}, a pickle, which Rushes never opens, and no {name}."
            raise ModelUnavailable(spec.key, said, "Save it as safetensors where you trust it.")
        raise ModelUnavailable(spec.key, f"{folder} has no {name}.", "Copy the whole folder.")


def _read(spec: ModelSpec, path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except UNREADABLE as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelUnavailable(spec.key, f"{path} cannot be read: {reason}.", "Copy or download it again.") from error
    if not isinstance(values, dict):
        raise ModelUnavailable(spec.key, f"{path} is no JSON object.", "Copy or download it again.")
    return values
