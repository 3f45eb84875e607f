"""What the engine says while it works: a closed set of frozen values, in the order in which they can come.

Started -> Encoded -> (StepDone* -> ChunkDenoised -> SliceReady*)* -> Finished | Stopped | Failed

Retreated can come anywhere between the first and the last.
"""

from dataclasses import dataclass

from pipeline.plan.draft import DraftPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The engine took the draft up; its folder exists."""

    draft: str
    plan: DraftPlan


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
    """Something went wrong; finished slices are kept. Both parts are for people."""

    message: str
    hint: str


Event = Started | Encoded | Retreated | StepDone | ChunkDenoised | SliceReady | Finished | Stopped | Failed
ENDS = (Finished, Stopped, Failed)
