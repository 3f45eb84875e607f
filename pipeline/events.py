"""What the engine says while it works: a closed set of frozen values, in the order in which they can come.

Started -> Encoded -> (StepDone* -> ChunkDenoised -> SliceReady*)* -> Finished | Stopped | Failed

Retreated can come anywhere between the first and the last, WaitingForRoom anywhere before the last. Queued and Paused
are the worker's, and come between two such rows, or before the first.
"""

from dataclasses import dataclass

from pipeline.plan.draft import DraftPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The engine took the draft up; its folder exists."""

    draft: str
    plan: DraftPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """The draft waits to be made, or to go on; the lowest ticket comes first."""

    ticket: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """The person wants it to rest; it waits for nothing but to be told to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Every sentence is an embedding now. `cached` of `sentences` came from disk; the encoder is gone again."""

    sentences: int
    cached: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Retreated:
    """Memory ran out in `stage`, against the forecast; it goes on in a way that takes less.

    `reason` is for people. `plan` is how it goes on, as the draft's folder has it now.
    """

    stage: str
    reason: str
    plan: DraftPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingForRoom:
    """The disk is full. It goes on by itself as soon as `need_bytes` are free, and says so again and again until then.

    What was being written is removed, what is finished stays. Never noted in the draft's folder, for want of room.
    """

    need_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A small moving picture of a whole chunk: a JPEG strip, `frames` pictures from top to bottom."""

    jpeg: bytes
    frames: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """Denoising step `step` (1-based) of `steps` of a chunk is done. `preview` is None when it costs too much."""

    chunk: int
    step: int
    steps: int
    seconds: float
    preview: Preview | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkDenoised:
    """A chunk's latents are on disk."""

    chunk: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceReady:
    """More of the draft can be played: `frames` frames from `first_frame`, in `file` inside the draft's folder."""

    index: int
    chunk: int
    file: str
    first_frame: int
    frames: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The whole draft is one mp4, `file` inside the draft's folder."""

    file: str
    frames: int
    seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The person stopped it. What was finished is kept: `file` holds `frames` frames, None if there were none yet."""

    file: str | None
    frames: int
    chunks: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Something went wrong; finished slices are kept. Message and hint are for people; `out_of_memory_in` is the stage
    that found no way that takes less, empty if it was anything else; `file` holds the `frames` frames that were
    finished, None where there are none, or where nothing could put them together."""

    message: str
    hint: str
    out_of_memory_in: str = ""
    file: str | None = None
    frames: int = 0


Event = (
    Started
    | Queued
    | Paused
    | Encoded
    | Retreated
    | WaitingForRoom
    | StepDone
    | ChunkDenoised
    | SliceReady
    | Finished
    | Stopped
    | Failed
)
ENDS = (Finished, Stopped, Failed)
