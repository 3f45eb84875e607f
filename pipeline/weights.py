"""Which weights are on this machine, told from file names alone: no network, no torch, a few milliseconds a model.

`gpu/loading.py` looks into the files when a draft needs them; this tells beforehand what there is to download.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from pipeline.gpu.revisions import recorded_revision
from pipeline.plan.spec import Component, ModelSpec, WeightFile

ASSETS = Path(__file__).resolve().parents[1] / "assets"
BYTES_PER_WEIGHT = 2  # in a repository; a few publish four


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentWeights:
    """Components that are not here or not whole, their LoRAs included; about how large what is missing is, and the
    commands that bring it."""

    components: tuple[Component, ...]
    download_bytes: int
    commands: tuple[str, ...]


def find_absent_weights(spec: ModelSpec, commits: Mapping[str, str] | None = None) -> AbsentWeights:
    """What has to be downloaded before a model can run; nothing where all is here.

    Args:
        spec: a catalog entry.
        commits: the revision of each of its repositories to look for; else the one that is used here.

    Raises:
        ModelUnavailable: when the record of revisions cannot be read.
    """
    commits = commits or _commits(spec)
    folder = find_folder(spec, commits)
    parts = [part for part in spec.networks if part not in spec.originals and not (folder and _is_whole(folder / part))]
    files = [file for file in spec.files if not _is_here(file, commits.get(file.repository))]
    from_files = [part for part, file in (*spec.originals.items(), *spec.loras.items()) if file in files]
    absent = [part for part in spec.networks if part in (*parts, *from_files)]
    command = f"python -m pipeline download {spec.key}" if spec.repository else "git checkout -- assets"
    return AbsentWeights(
        components=tuple(absent),
        download_bytes=sum(BYTES_PER_WEIGHT * spec.networks[part].parameters for part in parts)
        + sum(file.size_bytes for file in files),
        commands=(command,) if absent else (),
    )


def find_folder(spec: ModelSpec, commits: Mapping[str, str] | None = None) -> Path | None:
    """The folder of a checkpoint in diffusers' layout, whole or not; None where nothing is.

    Args and errors as of `find_absent_weights`.
    """
    if spec.folder or not spec.repository:
        return spec.folder or ASSETS / spec.key
    commit = (commits or _commits(spec)).get(spec.repository)
    index = try_to_load_from_cache(spec.repository, "model_index.json", revision=commit)
    return Path(index).parent if isinstance(index, str) else None


def _commits(spec: ModelSpec) -> dict[str, str]:
    """Of a checkpoint's repositories, as far as they are decided."""
    known = {spec.repository: spec.revision or recorded_revision(spec)} if spec.repository else {}
    known |= {file.repository: recorded_revision(spec, file.repository) for file in spec.files}
    return {repository: commit for repository, commit in known.items() if commit}


def _is_here(file: WeightFile, commit: str | None) -> bool:
    return isinstance(try_to_load_from_cache(file.repository, file.name, revision=commit), str)


def _is_whole(folder: Path) -> bool:
    """Whether a component's files are all there; an interrupted download leaves some of its shards out."""
    names = {file.name for file in folder.glob("*.safetensors") if file.is_file()}
    wanted: set[str] = set()
    for index in folder.glob("*.safetensors.index.json"):
        try:
            wanted |= set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return False
    return bool(names) and wanted <= names
