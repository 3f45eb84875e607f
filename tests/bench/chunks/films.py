"""Films to be compared: the miniature's by every tail mode and in one window, and drawn ones, which have no seams."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import pipeline
from pipeline.drafts.journal import Journal, new_draft_id
from pipeline.engine import Engine
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.chunks import Chunk, plan_slices
from pipeline.plan.draft import DraftPlan
from pipeline.plan.request import GenerationRequest
from pipeline.plan.spec import VideoShape
from pipeline.seams.check import Verdict, judge, trace_film
from pipeline.seams.film import Film
from pipeline.training.scenes import Words, draw_scene, render
from pipeline.video.mp4 import read_frames, write_slice
from tests.bench.chunks.looks import Fading, Looks, look, measure_fading
from tests.bench.miniature import pairs

NATIVE = MINIATURE.latents_of(MINIATURE.native_frames)
ADDED = NATIVE - MINIATURE.latents_of(MINIATURE.overlap_frames)
HALF_FRAMES = ADDED * MINIATURE.frame_stride // 2  # from a seam to where the model is as far as can be from one


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One film: what its seams, the places half-way between them, and its object are like."""

    words: Words
    verdict: Verdict
    between: Verdict
    looks: Looks
    fading: Fading


def frames_of(chunks: int) -> int:
    """Length of the longest draft of so many of the miniature's chunks."""
    return MINIATURE.frames_of(NATIVE + (chunks - 1) * ADDED)


def wishes(prompts: int, chunks: int, *, shape: VideoShape, tuning: bool) -> Iterator[tuple[Words, GenerationRequest]]:
    """Held-out words, and a draft of so many chunks that asks for them."""
    for words, sentence, seed in pairs(prompts, tuning=tuning):
        yield words, replace(pipeline.request(sentence, seed=seed), shape=shape, frames=frames_of(chunks))


def make(engine: Engine, plan: DraftPlan) -> Path:
    """The film of a plan."""
    journal = Journal(engine.drafts, new_draft_id())
    engine.run(plan, journal.draft, lambda _: None)
    return journal.video_path()


def in_one_window(plan: DraftPlan) -> DraftPlan:
    """The same draft in one chunk, however long: what chunks are compared with. No person can ask for it."""
    chunk = Chunk(index=0, start=0, stop=plan.latents, overlap=0, seed=plan.request.seed, shot=0)
    window = max(piece.stop - piece.start for piece in plan.slices)
    slices = plan_slices((chunk,), window=window, stride=plan.spec.frame_stride)
    return replace(plan, chunks=(chunk,), slices=slices)


def draw(words: Words, request: GenerationRequest, path: Path) -> Path:
    """A film of a scene as it is drawn for training, without a model, encoded as drafts are."""
    shape = request.shape
    scene = draw_scene(words, width=shape.width, height=shape.height, rng=np.random.default_rng(request.seed))
    clip = (render(scene, frames=request.frames).permute(1, 2, 3, 0).numpy() + 1) * 127.5
    write_slice(np.rint(clip).astype(np.uint8), path, fps=MINIATURE.fps)
    return path


def measure(path: Path, words: Words, plan: DraftPlan) -> Measured:
    """What is seen at the seams of `plan`, whatever made the film."""
    between = tuple(replace(seam, frame=seam.frame + HALF_FRAMES) for seam in plan.seams)
    trace = trace_film(Film(path=path, seams=(*plan.seams, *between)))
    frames = np.array(list(read_frames(path)), np.uint8)
    return Measured(
        words=words,
        verdict=judge(trace, plan.seams),
        between=judge(trace, between),
        looks=look(frames, [seam.frame for seam in plan.seams], motion=words.motion),
        fading=measure_fading(frames),
    )
