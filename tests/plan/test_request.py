"""What cannot be made is refused once, at the control it belongs to, with the nearest value that can."""

import math
from dataclasses import replace
from typing import Any

import pytest

from pipeline.errors import InvalidRequest
from pipeline.plan.catalog import CATALOG, LTX_2B, MINIATURE
from pipeline.plan.limits import LOWEST_PRECISIONS
from pipeline.plan.request import LONGEST_PROMPT, LONGEST_SECONDS, MOST_SHOTS, Shot, frames_for
from pipeline.plan.spec import ModelSpec, VideoShape
from tests.conftest import RequestMaker

HUGE = 10**400  # larger than any float


def shots(*prompts: str, seconds: float = 4.0) -> dict[str, Any]:
    return {"shots": tuple(Shot(prompt=prompt, seconds=seconds) for prompt in prompts)}


def size(width: int, height: int) -> dict[str, Any]:
    return {"shape": VideoShape(width=width, height=height)}


REFUSED = [
    # what is asked, the control it belongs to, what the person must be told
    pytest.param(shots(""), "prompt", "no sentence", id="empty prompt"),
    pytest.param(shots(" \n\t "), "prompt", "no sentence", id="blank prompt"),
    pytest.param(shots("a red ball", ""), "prompt", "no sentence", id="empty second shot"),
    pytest.param(shots("x" * 10_000), "prompt", "at most 2,000", id="10,000 characters"),
    pytest.param({"negative_prompt": "x" * 10_000}, "prompt", "at most 2,000", id="10,000 characters to avoid"),
    pytest.param(shots("a red\x00 ball"), "prompt", "U+0000", id="null character"),
    pytest.param(shots("a red\x1b[31m ball"), "prompt", "U+001B", id="escape character"),
    pytest.param(shots("a red \ud800 ball"), "prompt", "U+D800", id="lone surrogate"),
    pytest.param({"negative_prompt": "\x07"}, "prompt", "U+0007", id="bell to avoid"),
    pytest.param({"shots": ()}, "prompt", "1 to 32 shots, not 0. Say in one sentence", id="no shot"),
    pytest.param(
        shots(*["a ball"] * (MOST_SHOTS + 1)), "prompt", "not 33. Make the first 32 a draft", id="too many shots"
    ),
    pytest.param(shots("a ball", seconds=0.0), "seconds", "up to 60", id="shot of no time"),
    pytest.param(shots("a ball", seconds=-1.0), "seconds", "up to 60", id="shot of negative time"),
    pytest.param(shots("a ball", seconds=math.nan), "seconds", "up to 60", id="shot of NaN seconds"),
    pytest.param(shots("a ball", seconds=3600.0), "seconds", "up to 60", id="shot of an hour"),
    pytest.param(shots("a ball", seconds=1e308), "seconds", "up to 60", id="shot of an age"),
    pytest.param({"model": "sora"}, "model", ", ".join(CATALOG), id="unknown model"),
    pytest.param({"model": ""}, "model", ", ".join(CATALOG), id="no model"),
    pytest.param(size(250, 160), "width", "Nearest: 256", id="width off the grid"),
    pytest.param(size(256, 150), "height", "Nearest: 160", id="height off the grid"),
    pytest.param(size(0, 160), "width", "Nearest: 96", id="no width"),
    pytest.param(size(-256, 160), "width", "Nearest: 96", id="negative width"),
    pytest.param(size(256, 64), "height", "Nearest: 96", id="on the grid, too low"),
    pytest.param(size(100_000, 160), "width", "Nearest: 320", id="absurd width"),
    pytest.param(size(256, HUGE), "height", "Nearest: 320", id="height beyond floats"),
    pytest.param({"frames": 96}, "frames", "Nearest: 97 (4.0 seconds)", id="frames off the grid"),
    pytest.param({"frames": 0}, "frames", "Nearest: 9 ", id="no frames"),
    pytest.param({"frames": 1}, "frames", "Nearest: 9 ", id="a single frame"),
    pytest.param({"frames": -97}, "frames", "Nearest: 9 ", id="negative frames"),
    pytest.param({"frames": 86_401}, "frames", "Nearest: 1,441 (60.0 seconds)", id="an hour of frames"),
    pytest.param({"frames": HUGE + 1}, "frames", "Nearest: 1,441", id="frames beyond floats"),
    pytest.param({"steps": 0}, "steps", "Nearest: 1.", id="no steps"),
    pytest.param({"steps": -3}, "steps", "Nearest: 1.", id="negative steps"),
    pytest.param({"steps": 10_000}, "steps", "Nearest: 100.", id="absurd steps"),
    pytest.param({"guidance": math.nan}, "guidance", "Nearest: 3.", id="NaN guidance"),
    pytest.param({"guidance": math.inf}, "guidance", "Nearest: 3.", id="infinite guidance"),
    pytest.param({"guidance": 0.5}, "guidance", "Nearest: 1.", id="guidance below off"),
    pytest.param({"guidance": -7.0}, "guidance", "Nearest: 1.", id="negative guidance"),
    pytest.param({"guidance": 1000.0}, "guidance", "Nearest: 20.", id="absurd guidance"),
    pytest.param({"seed": -1}, "seed", "from 0 to 4294967295", id="negative seed"),
    pytest.param({"seed": 2**32}, "seed", "from 0 to 4294967295", id="seed past 32 bits"),
    pytest.param({"chunk_frames": 0}, "chunk_frames", "Nearest: 25.", id="chunk of nothing"),
    pytest.param({"chunk_frames": -49}, "chunk_frames", "Nearest: 25.", id="negative chunk"),
    pytest.param({"chunk_frames": 48}, "chunk_frames", "Nearest: 49.", id="chunk off the grid"),
    pytest.param({"chunk_frames": 57}, "chunk_frames", "Nearest: 49.", id="chunk past the native length"),
    pytest.param({"chunk_frames": 17}, "chunk_frames", "Nearest: 25.", id="chunk no longer than its overlap"),
    pytest.param({"overlap_frames": 0}, "overlap_frames", "Nearest: 1.", id="no overlap"),
    pytest.param({"overlap_frames": 2}, "overlap_frames", "Nearest: 1.", id="overlap off the grid, low"),
    pytest.param({"overlap_frames": 16}, "overlap_frames", "Nearest: 17.", id="overlap off the grid, high"),
    pytest.param({"overlap_frames": 25}, "overlap_frames", "Nearest: 17.", id="overlap never trained"),
    pytest.param(
        {"chunk_frames": 17, "overlap_frames": 17}, "overlap_frames", "Nearest: 9.", id="overlap as long as the chunk"
    ),
    pytest.param({"vram_limit_gib": math.nan}, "vram_limit", "Nearest: 0.5.", id="NaN limit"),
    pytest.param({"vram_limit_gib": -8.0}, "vram_limit", "Nearest: 0.5.", id="negative limit"),
    pytest.param({"vram_limit_gib": 0.0}, "vram_limit", "Nearest: 0.5.", id="no card at all"),
    pytest.param({"vram_limit_gib": 1e9}, "vram_limit", "Nearest: 4096.", id="absurd limit"),
    pytest.param({"ram_limit_gib": math.nan}, "ram_limit", "Nearest: 0.5.", id="NaN limit of memory"),
    pytest.param({"ram_limit_gib": -math.inf}, "ram_limit", "Nearest: 0.5.", id="limit below everything"),
    pytest.param({"ram_limit_gib": math.inf}, "ram_limit", "Nearest: 4096.", id="no limit, said wrongly"),
    pytest.param({"ram_limit_gib": 1e9}, "ram_limit", "Nearest: 4096.", id="absurd limit of memory"),
    pytest.param(
        {"tail": "causal"}, "tail", "latents, frames, repaint, co-denoise. Nearest: latents", id="no such way"
    ),
    pytest.param({"tail": ""}, "tail", "Miniature cannot go on by ''", id="no way"),
    pytest.param(
        {**shots("a ball", "a star"), "tail": "co-denoise"},
        "tail",
        "one sentence, not 2. Nearest",
        id="two shots at once",
    ),
    pytest.param({"lowest_precision": "int2"}, "lowest_precision", "bfloat16, int8, int4", id="unknown precision"),
    pytest.param({"lowest_precision": "fp8"}, "lowest_precision", "bfloat16, int8, int4", id="not offered by name"),
    pytest.param({"lowest_precision": ""}, "lowest_precision", "bfloat16, int8, int4", id="no precision"),
]


@pytest.mark.parametrize(("asked", "field", "told"), REFUSED)
def test_what_cannot_be_made_is_refused_at_its_control(
    asked: dict[str, Any], field: str, told: str, make_request: RequestMaker
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        make_request(**asked)
    assert refusal.value.field == field
    assert told in str(refusal.value)


NEAREST = [
    pytest.param({"frames": 100}, {"frames": 97}, id="frames"),
    pytest.param(size(300, 160), size(288, 160), id="width"),
    pytest.param(size(256, 1000), size(256, 320), id="height"),
    pytest.param({"steps": 500}, {"steps": 100}, id="steps"),
    pytest.param({"guidance": 0.0}, {"guidance": 1.0}, id="guidance"),
    pytest.param({"chunk_frames": 30}, {"chunk_frames": 33}, id="chunk"),
    pytest.param({"overlap_frames": 3}, {"overlap_frames": 1}, id="overlap"),
    pytest.param({"vram_limit_gib": 0.1}, {"vram_limit_gib": 0.5}, id="limit"),
    pytest.param({"ram_limit_gib": 1e9}, {"ram_limit_gib": 4096.0}, id="limit of memory"),
]


@pytest.mark.parametrize(("asked", "nearest"), NEAREST)
def test_the_nearest_value_that_is_offered_is_itself_accepted(
    asked: dict[str, Any], nearest: dict[str, Any], make_request: RequestMaker
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        make_request(**asked)
    value = next(iter(nearest.values()))
    offered = getattr(value, refusal.value.field) if isinstance(value, VideoShape) else value
    assert f"Nearest: {offered:g}" in refusal.value.hint
    make_request(**nearest)


ACCEPTED = [
    pytest.param({}, id="the standard four seconds"),
    pytest.param(shots("ein roter Ball, 红色的球, 🎈\nfällt"), id="any language, emoji, a new line"),
    pytest.param(shots("x" * LONGEST_PROMPT), id="the longest prompt"),
    pytest.param(shots(*["a ball"] * MOST_SHOTS, seconds=1.0) | {"frames": 769}, id="the most shots"),
    pytest.param({"frames": 9}, id="the shortest draft"),
    pytest.param({"frames": 1441}, id="the longest draft"),
    pytest.param({"steps": 1}, id="one step"),
    pytest.param({"steps": 100}, id="the most steps"),
    pytest.param({"guidance": 1.0}, id="no guidance"),
    pytest.param({"guidance": 20.0}, id="the most guidance"),
    pytest.param({"seed": 0}, id="the first seed"),
    pytest.param({"seed": 2**32 - 1}, id="the last seed"),
    pytest.param({"chunk_frames": 25}, id="the shortest chunk for the usual overlap"),
    pytest.param({"chunk_frames": 9, "overlap_frames": 1}, id="the shortest chunk of all"),
    pytest.param({"overlap_frames": 17}, id="the longest overlap"),
    pytest.param({"vram_limit_gib": 0.5, "ram_limit_gib": 4096.0}, id="the least and the most gibibytes"),
    *(pytest.param({"lowest_precision": p}, id=p) for p in LOWEST_PRECISIONS),
    pytest.param(size(96, 320), id="the smallest and the largest side"),
]


@pytest.mark.parametrize("asked", ACCEPTED)
def test_what_can_be_made_is_accepted_as_it_is(asked: dict[str, Any], make_request: RequestMaker) -> None:
    request = make_request(**asked)
    assert all(getattr(request, field) == value for field, value in asked.items())


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_every_shape_a_model_offers_is_accepted(spec: ModelSpec, make_request: RequestMaker) -> None:
    for shape in spec.shapes:
        assert make_request(model=spec.key, shape=shape, frames=spec.native_frames).spec is spec


def test_a_refused_change_leaves_the_request_as_it_was(make_request: RequestMaker) -> None:
    request = make_request()
    with pytest.raises(InvalidRequest):
        replace(request, frames=96)
    assert request.frames == 97


def test_seconds_and_title_come_from_frames_and_shots(make_request: RequestMaker) -> None:
    request = make_request(**shots("a red ball", "a blue star"), frames=49)
    assert request.seconds == pytest.approx(49 / 24)
    assert request.prompt == "a red ball / a blue star"


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, 0.0, -4.0, 60.1, 3600.0])
def test_a_length_no_draft_can_have_is_refused_with_what_can_be_chosen(seconds: float) -> None:
    with pytest.raises(InvalidRequest, match=r"between 0\.4 and 60 seconds") as refusal:
        frames_for(MINIATURE, seconds)
    assert refusal.value.field == "seconds"


@pytest.mark.parametrize("spec", CATALOG.values(), ids=CATALOG)
def test_any_length_up_to_the_longest_gives_a_legal_frame_count(spec: ModelSpec, make_request: RequestMaker) -> None:
    for tenths in range(1, int(LONGEST_SECONDS * 10) + 1):
        frames = frames_for(spec, tenths / 10)
        assert abs(frames - tenths / 10 * spec.fps) <= spec.frame_stride
        make_request(model=spec.key, shape=spec.shapes[0], frames=frames)


def test_a_large_model_takes_sizes_the_miniature_does_not(make_request: RequestMaker) -> None:
    large = VideoShape(width=704, height=480)
    make_request(model=LTX_2B.key, shape=large)
    with pytest.raises(InvalidRequest, match="with Miniature"):
        make_request(shape=large)
