"""What was asked for, as windows of latents: what a chunk is given, and when it is long enough."""

from dataclasses import replace

import pytest

from pipeline.errors import InvalidRequest
from pipeline.plan.catalog import ANYFLOW_1_3B, LTX_2B, WAN_A14B, find_model
from pipeline.plan.chunks import plan_seams, plan_slices
from pipeline.plan.cutting import cut, least_latents, overlap_latents
from pipeline.plan.request import GenerationRequest, Shot
from pipeline.plan.spec import ModelSpec, Tail
from tests.conftest import RequestMaker


@pytest.fixture(params=[LTX_2B, WAN_A14B, ANYFLOW_1_3B], ids=lambda spec: spec.key)
def request_of(request: pytest.FixtureRequest, make_request: RequestMaker) -> GenerationRequest:
    """Thrice as long as the model's own length."""
    spec: ModelSpec = request.param
    return make_request(model=spec.key, shape=spec.shapes[0], frames=3 * spec.native_frames - 2)


def test_an_overlap_set_by_hand_is_kept(request_of: GenerationRequest) -> None:
    spec = request_of.spec
    asked = replace(request_of, overlap_frames=spec.frames_of(2))
    assert overlap_latents(asked) == 2
    assert {chunk.overlap for chunk in cut(asked, 9)[1:]} == {2}


def test_the_usual_overlap_is_the_catalog_s_and_a_causal_model_s_what_there_is_room_for(
    request_of: GenerationRequest,
) -> None:
    spec, native = request_of.spec, request_of.spec.latents_of(request_of.spec.native_frames)
    chunks = cut(request_of, native)
    if spec is ANYFLOW_1_3B:
        assert overlap_latents(request_of) is None
        assert {chunk.latents for chunk in chunks[7:]} == {native}
        assert len({chunk.overlap for chunk in chunks}) > 5
    else:
        assert overlap_latents(request_of) == spec.latents_of(spec.overlap_frames)
        assert {chunk.overlap for chunk in chunks[1:]} == {spec.latents_of(spec.overlap_frames)}


def test_no_window_is_so_short_that_nothing_is_added(request_of: GenerationRequest) -> None:
    least = least_latents(request_of)
    assert cut(request_of, 1) == cut(request_of, least)
    assert all(chunk.new_latents > 0 for chunk in cut(request_of, least))
    assert max(chunk.latents for chunk in cut(request_of, least + 1)) == least + 1


def test_each_shot_has_its_share_of_the_timeline(request_of: GenerationRequest) -> None:
    shots = (Shot(prompt="a red ball", seconds=2.0), Shot(prompt="a blue star", seconds=1.0))
    asked = replace(request_of, shots=shots)
    chunks = cut(asked, least_latents(asked))
    told = [chunk.shot for chunk in chunks]
    assert told == sorted(told)
    first = sum(chunk.new_latents for chunk in chunks if chunk.shot == 0)
    assert first / chunks[-1].stop == pytest.approx(2 / 3, abs=0.1)


def chunked(make_request: RequestMaker, **fields: int) -> GenerationRequest:
    shape = ANYFLOW_1_3B.shapes[0]
    return make_request(model=ANYFLOW_1_3B.key, shape=shape, frames=81, **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"chunk_frames": 13},
        {"chunk_frames": 81},
        {"overlap_frames": 1},
        {"overlap_frames": 69},
        {"chunk_frames": 13, "overlap_frames": 1},
        {"chunk_frames": 41, "overlap_frames": 29},
    ],
    ids=str,
)
def test_a_causal_model_takes_any_window_with_room_for_a_block(
    fields: dict[str, int], make_request: RequestMaker
) -> None:
    asked = chunked(make_request, **fields)
    longest = ANYFLOW_1_3B.latents_of(fields.get("chunk_frames", 81))
    assert max(chunk.latents for chunk in cut(asked, longest)) <= longest


@pytest.mark.parametrize(
    ("fields", "nearest"),
    [
        ({"chunk_frames": 9}, "Nearest: 13"),
        ({"chunk_frames": 85}, "Nearest: 81"),
        ({"overlap_frames": 73}, "Nearest: 69"),
        ({"chunk_frames": 41, "overlap_frames": 33}, "Nearest: 29"),
    ],
    ids=str,
)
def test_a_window_without_room_for_a_block_is_refused(
    fields: dict[str, int], nearest: str, make_request: RequestMaker
) -> None:
    with pytest.raises(InvalidRequest, match=nearest):
        chunked(make_request, **fields)


# Tail modes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("model", ["miniature", "ltx-2b", "wan-5b", "wan-a14b"])
def test_what_is_denoised_together_is_one_chunk_in_the_windows_of_the_others(
    make_request: RequestMaker, model: str
) -> None:
    spec = find_model(model)
    fields = {"model": model, "shape": spec.shapes[0], "frames": 3 * spec.native_frames - 2}
    usual = cut(make_request(**fields), 9)
    (together,) = cut(make_request(**fields, tail=Tail.CO_DENOISE), 9)
    assert together.windows == tuple((chunk.start, chunk.stop) for chunk in usual)
    assert (together.start, together.stop, together.overlap, together.rounds) == (0, usual[-1].stop, 0, 1)
    assert together.passes == tuple(chunk.latents for chunk in usual)
    slices = plan_slices((together,), window=8, stride=spec.frame_stride)
    seams = plan_seams((together,), slices, stride=spec.frame_stride)
    assert [seam.frame for seam in seams] == [spec.frames_of(chunk.stop) for chunk in usual[:-1]]
    alone = make_request(**fields | {"frames": spec.native_frames}, tail=Tail.CO_DENOISE)
    assert cut(alone, spec.latents_of(spec.native_frames))[0].windows == ()


def test_the_way_to_go_on_changes_no_other_chunk(make_request: RequestMaker) -> None:
    usual, *others = (cut(make_request(tail=tail), 7) for tail in (None, Tail.FRAMES, Tail.REPAINT))
    assert others == [usual, usual]
