"""Which models are on this machine, and where: shipped, in a folder of one's own, in Hugging Face's cache, or in parts.

Told from file names and, for folders of one's own, from headers. Asks no network, and never fails for what is broken.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipeline.errors import DraftError
from pipeline.gpu.folders import check_own_folder
from pipeline.plan.spec import ModelSpec
from pipeline.repository import is_wanted, repository_folder
from pipeline.weights import find_absent_weights, find_folder

PARTS = ("tokenizer", "scheduler")  # beside the networks; `weights.py` tells about those


class Presence(StrEnum):
    """Where a model is."""

    SHIPPED = "shipped"
    FOLDER = "folder"
    CACHED = "cached"
    PARTIAL = "partial"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What is here of a model, at `folder`.

    `here_bytes` are on disk, about `download_bytes` are to come with `command`; `obstacle` says why it cannot be used
    where no download mends that.
    """

    spec: ModelSpec
    presence: Presence
    folder: Path | None = None
    here_bytes: int = 0
    download_bytes: int = 0
    command: str = ""
    obstacle: str = ""

    @property
    def usable(self) -> bool:
        """Whether a draft can be made with it."""
        return self.presence in (Presence.SHIPPED, Presence.FOLDER, Presence.CACHED) and not self.obstacle


def find_installation(spec: ModelSpec) -> Installation:
    """What is here of a catalog entry, or of one `kept_in` a folder; in milliseconds, whatever the disk holds."""
    try:
        return _look(spec)
    except DraftError as error:
        presence = Presence.FOLDER if spec.folder else Presence.ABSENT
        return Installation(spec=spec, presence=presence, folder=spec.folder, obstacle=str(error))
    except (OSError, ValueError) as error:  # of a cache in which somebody else wrote, or that may not be read
        return Installation(spec=spec, presence=Presence.ABSENT, obstacle=f"The cache cannot be read: {error}.")


def _look(spec: ModelSpec) -> Installation:
    folder = check_own_folder(spec) if spec.folder else find_folder(spec)
    if spec.folder:
        return Installation(spec=spec, presence=Presence.FOLDER, folder=folder, here_bytes=_sum(_files(spec, folder)))
    absent = find_absent_weights(spec)
    lacking = folder is None or not _is_described(spec, folder)
    unfinished_bytes = _sum(_unfinished(spec))
    here_bytes = unfinished_bytes + _sum(_files(spec, folder))
    if absent.components or lacking:
        return Installation(
            spec=spec,
            presence=Presence.PARTIAL if here_bytes else Presence.ABSENT,
            folder=folder,
            here_bytes=here_bytes,
            download_bytes=max(0, absent.download_bytes - unfinished_bytes),
            command=" && ".join(absent.commands) or f"python -m pipeline download {spec.key}",
        )
    presence = Presence.CACHED if spec.repository else Presence.SHIPPED
    return Installation(spec=spec, presence=presence, folder=folder, here_bytes=here_bytes)


def _is_described(spec: ModelSpec, folder: Path) -> bool:
    """Whether what goes with the weights is there: a download stops between two files, too."""
    configured = all((folder / part / "config.json").is_file() for part in spec.networks)
    return configured and all(any((folder / part).glob("*")) for part in PARTS)


def _repositories(spec: ModelSpec) -> list[Path]:
    names = [spec.repository, *(file.repository for file in spec.files)]
    return [repository_folder(name) for name in dict.fromkeys(names) if name]


def _files(spec: ModelSpec, folder: Path | None) -> set[Path]:
    """What is wanted of a checkpoint and here: in its folder, else in any revision, as a download leaves it."""
    roots = [folder] if folder else [root for place in _repositories(spec)[:1] for root in place.glob("snapshots/*")]
    found = {
        path.resolve()
        for root in roots
        for part in ("", *spec.networks, *PARTS)
        for path in (root / part).glob("*")
        if path.is_file() and is_wanted(spec, path.relative_to(root).as_posix())
    }
    for file in spec.files:
        alone = repository_folder(file.repository).glob(f"snapshots/*/{file.name}")
        found |= {path.resolve() for path in alone if path.is_file()}
    return found


def _unfinished(spec: ModelSpec) -> set[Path]:
    """The beginnings of files, as downloads leave them."""
    return {path for place in _repositories(spec) for path in place.glob("blobs/*.incomplete")}


def _sum(files: set[Path]) -> int:
    """In bytes."""
    return sum(path.stat().st_size for path in files)
