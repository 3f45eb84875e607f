"""What has to be exact: one chunk is the bare pipeline's clip, every frame is made once, what a shot does not touch
stays bit for bit."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

import pipeline
from pipeline.drafts.journal import Journal
from pipeline.engine import Engine
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.chunks import SHARED_LATENTS, Chunk, plan_chunks, plan_slices
from pipeline.plan.draft import DraftPlan
from pipeline.plan.request import GenerationRequest, Shot
from pipeline.training.scenes import COLOURS, Words
from pipeline.training.sentences import canonical
from tests.bench.chunks.films import make, measure
from tests.bench.chunks.table import share
from tests.bench.first_light import call_bare, open_miniature

LENGTHS, CHUNKS, OVERLAPS = range(1, 61), range(2, 17), range(1, 9)


def measure_one_chunk(engine: Engine) -> list[str]:
    """A draft of one chunk against `LTXConditionPipeline` by itself."""
    plan = pipeline.plan(replace(pipeline.request("a red ball moves left over snow", seed=5), frames=49))
    ours = chunk_latents(make(engine, plan), 0)
    model, bare = open_miniature(plan)
    same = torch.equal(ours, call_bare(bare, plan, *model.encode([plan.request.prompt, ""])))
    return [f"one chunk ≡ bare `LTXConditionPipeline`, bit for bit | {'yes' if same else 'NO'} | yes"]


def chunk_latents(film: Path, chunk: int) -> Tensor:
    """Of the draft that made a film."""
    return load_file(Journal(film.parents[1], film.parent.name).latents_path(chunk))["latents"]


def count_frames() -> list[str]:
    """Every legal length, chunk and overlap, planned: how often the slices hold each frame exactly once."""
    right, cases, stride = 0, 0, MINIATURE.frame_stride
    for latents, longest, overlap in product(LENGTHS, CHUNKS, OVERLAPS):
        if longest <= overlap:
            continue
        chunks = plan_chunks(latents, longest=longest, overlap=overlap, seed=0, shot_stops=(latents,))
        window = max(longest, SHARED_LATENTS + 1)
        slices = plan_slices(chunks, window=window, stride=stride)
        frames = [n for piece in slices for n in range(piece.first_frame, piece.first_frame + piece.frames)]
        right += frames == list(range(stride * (latents - 1) + 1))
        cases += 1
    return [f"frame count exact, by (length, chunk, overlap) | {right} of {cases} | all"]


def measure_second_shot(engine: Engine, wishes: Sequence[tuple[Words, GenerationRequest]]) -> list[str]:
    """Drafts whose second half asks for another colour, against the same with one sentence in both shots, and without
    being guided away from the first sentence."""
    same = list[bool]()
    follows, flagged = (list[bool](), list[bool]()), (list[bool](), list[bool]())  # as usual, and without
    for words, request in wishes:
        colours = [colour for colour in COLOURS if colour != words.colour]
        other = replace(words, colour=colours[request.seed % len(colours)])
        half = request.seconds / 2
        shots = tuple(Shot(prompt=canonical(scene), seconds=half) for scene in (words, other))
        alike = shots[0], replace(shots[1], prompt=shots[0].prompt)  # cut into the same chunks
        plain = replace(request.continuity, turn_away=0.0)
        asked = (replace(request, shots=shots), replace(request, shots=shots, continuity=plain))
        plans = [pipeline.plan(one) for one in (replace(request, shots=alike), *asked)]
        films = [make(engine, plan) for plan in plans]
        pair = films[:2]
        same += [torch.equal(*(chunk_latents(film, chunk.index) for film in pair)) for chunk in _untouched(plans[1])]
        for place, (film, plan) in enumerate(zip(films[1:], plans[1:], strict=True)):
            seen = measure(film, words, plan)
            print(f"{canonical(words)}, then {other.colour}: {seen.looks.last_colour or 'nothing'}", file=sys.stderr)
            follows[place].append(seen.looks.last_colour == other.colour)
            flagged[place].extend(bool(finding.beyond) for finding in seen.verdict.findings)
    return [
        f"chunks before another shot the same, bit for bit | {share(same)} | all",
        f"colour follows the shot to the end | {share(follows[0])} | 90 %",
        f"the same with `--turn-away 0` | {share(follows[1])} | ",
        f"flagged seams of these films; with `--turn-away 0` | {share(flagged[0])}; {share(flagged[1])} | 1 in 8",
    ]


def _untouched(plan: DraftPlan) -> list[Chunk]:
    return [chunk for chunk in plan.chunks if chunk.shot == 0]
