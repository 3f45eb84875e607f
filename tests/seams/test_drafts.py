"""The miniature's own drafts at the gate: a few in every run, twenty-four sentences with `pytest -m slow`.

How drafts do is measured by `python -m tests.bench.chunks`; here they only have to pass.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import pipeline
from pipeline.engine import Engine
from pipeline.models import ltx, windows
from pipeline.models.base import Sampling
from pipeline.models.ltx import LTXModel
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.chunks import Chunk
from pipeline.plan.device import probe_device
from pipeline.plan.spec import Tail, VideoShape
from pipeline.seams.check import SEAMS_PER_FLAG
from pipeline.seams.metrics import LIMITS, Metric
from pipeline.video.blending import Crossfader, sigmoid_ramp
from tests.bench.chunks.films import ADDED, Measured, frames_of, make, measure, wishes

SMALL = VideoShape(width=160, height=96)
LEAST_DEVIATION = 0.97  # of the parts', in every blend


def draft(drafts: Path, prompts: int, chunks: int, tail: Tail) -> list[Measured]:
    """Drafts of so many held-out sentences."""
    engine, found = Engine(drafts), []
    for words, request in wishes(prompts, chunks, shape=SMALL, tuning=False):
        plan = pipeline.plan(replace(request, tail=tail))
        found.append(measure(make(engine, plan), words, plan))
    return found


def test_a_draft_of_three_chunks_passes(tmp_path: Path) -> None:
    (film,) = draft(tmp_path, 1, 3, MINIATURE.tail)
    assert len(film.verdict.findings) == 2
    assert film.verdict.passed, film.verdict.findings
    assert film.looks.seen
    assert film.looks.colour_kept


def test_a_draft_whose_chunks_begin_with_frames_neither_jumps_nor_changes_its_colour(tmp_path: Path) -> None:
    """HD is not asked for: this sentence's object leaves the picture and takes detail with it, a flag (0.944)."""
    (film,) = draft(tmp_path, 1, 3, Tail.FRAMES)
    assert len(film.verdict.findings) == 2
    beyond = {metric for finding in film.verdict.findings for metric in finding.beyond}
    assert not beyond & {Metric.SR, Metric.SA, Metric.CS, Metric.MR}, film.verdict.findings
    assert film.looks.colour_kept


@pytest.mark.slow
@pytest.mark.parametrize("chunks", [4, 8])
def test_drafts_of_twenty_four_held_out_sentences_pass(tmp_path: Path, chunks: int) -> None:
    films = draft(tmp_path, 24, chunks, MINIATURE.tail)
    findings = [finding for film in films for finding in film.verdict.findings]
    assert len(findings) == 24 * (chunks - 1)
    assert sum(bool(finding.beyond) for finding in findings) <= len(findings) / SEAMS_PER_FLAG
    assert np.median([finding.values[Metric.CS] for finding in findings]) <= LIMITS[Metric.CS].high
    assert np.mean([film.looks.colour_kept for film in films]) >= 0.9


def sampling_of(model: LTXModel, tail: Tail, sentence: str = "a red ball moves left over snow") -> Sampling:
    positive, negative = model.encode([sentence, ""])
    return Sampling(shape=SMALL, steps=8, guidance=4.0, positive=positive, negative=negative, tail=tail)


def deviations(latents: torch.Tensor) -> torch.Tensor:
    """[F], of latents [B, C, F, ...]."""
    return latents.movedim(2, 0).flatten(1).std(1)


@pytest.mark.parametrize(
    ("sentence", "seed", "overlap"),
    [
        ("a red ball moves left over snow", 3, 7 - ADDED),
        ("a white star bounces over sea", 4, 7 - ADDED),
        ("a yellow ball stands still over grass", 7, 1),
        ("a white star bounces over sea", 4, 1),
    ],
)
def test_windows_that_are_averaged_keep_their_deviation(
    monkeypatch: pytest.MonkeyPatch, sentence: str, seed: int, overlap: int
) -> None:
    """At every step, of each latent that two windows share: of what is made of it, against what both say of it."""
    model, ratios = LTXModel(MINIATURE, probe_device(use_card=False)), list[float]()
    both = ((0, 7), (7 - overlap, 14 - overlap))
    average, (weight, _) = windows.average, windows.window_weights(both)

    def watched(asked: windows.Windows, parts: object) -> torch.Tensor:
        said = list(parts)  # type: ignore[call-overload]
        blend = average(asked, said)
        first, second = deviations(said[0][:, :, -overlap:]), deviations(said[1][:, :, :overlap])
        mean = torch.lerp(second, first, weight[-overlap:])
        ratios.extend((deviations(blend[:, :, 7 - overlap : 7]) / mean).tolist())
        return blend

    monkeypatch.setattr(windows, "average", watched)
    chunk = Chunk(index=0, start=0, stop=14 - overlap, overlap=0, seed=seed, shot=0, windows=both)
    model.denoise(chunk, sampling_of(model, Tail.CO_DENOISE, sentence), tail=None, on_step=lambda *_: None)
    assert len(ratios) == 8 * overlap
    assert min(ratios) >= LEAST_DEVIATION


def test_frames_that_are_faded_keep_their_deviation() -> None:
    """Of two windows' frames of the same latents, over the frames that they share."""
    model = LTXModel(MINIATURE, probe_device(use_card=False))
    plan = pipeline.plan(replace(pipeline.request("a red ball", seed=1), shape=SMALL, frames=frames_of(2)))
    chunk = Chunk(index=0, start=0, stop=plan.latents, overlap=0, seed=3, shot=0)
    latents = model.denoise(chunk, sampling_of(model, Tail.LATENTS), tail=None, on_step=lambda *_: None)
    fader, (first, second) = Crossfader(), plan.slices
    with model.open_decoder().visit() as decode:
        before, after = (decode(latents[:, :, piece.start : piece.stop]) for piece in (first, second))
    fader.push(before, fade=0, hold=first.hold)
    blend = fader.push(after[second.skip :], fade=second.fade, hold=0)[: second.fade]
    parts = before[-first.hold :], after[second.skip : second.skip + second.fade]
    assert len(blend) > 0
    assert blend.std() >= LEAST_DEVIATION * np.mean([part.std() for part in parts])


@pytest.mark.parametrize("tail", [Tail.LATENTS, Tail.REPAINT])
@pytest.mark.parametrize(
    ("sentence", "seed", "strength"),
    [("a red ball moves left over snow", 3, 0.7), ("a green triangle grows over night", 5, 0.5)],
)
def test_a_tail_that_is_not_certain_keeps_its_deviation(
    monkeypatch: pytest.MonkeyPatch, tail: Tail, sentence: str, seed: int, strength: float
) -> None:
    """Of what was given and what the model made of it, over the latents that are both, each of them."""
    model, parts = LTXModel(MINIATURE, probe_device(use_card=False)), list[torch.Tensor]()
    sampling = replace(sampling_of(model, tail, sentence), tail_strength=strength)
    blend_versions = ltx.blend_versions

    def watched(*versions: torch.Tensor) -> torch.Tensor:
        blend = blend_versions(*versions)
        parts.extend((*versions, blend))
        return blend

    monkeypatch.setattr(ltx, "blend_versions", watched)
    chunk = Chunk(index=0, start=0, stop=7, overlap=0, seed=seed, shot=0)
    first = model.denoise(chunk, sampling, tail=None, on_step=lambda *_: None)
    following = replace(chunk, index=1, start=ADDED, stop=ADDED + 7, overlap=7 - ADDED, seed=seed + 6)
    model.denoise(following, sampling, tail=first[:, :, ADDED:], on_step=lambda *_: None)
    given, made, blend = (deviations(part) for part in parts)
    mean = torch.lerp(given, made, torch.from_numpy(sigmoid_ramp(len(blend))))
    assert not torch.equal(parts[0], parts[1])
    assert (blend >= LEAST_DEVIATION * mean).all(), (given, made, blend)
