"""Settings read back from a film or JSON: the same request, or a refusal; a file is never believed."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest

from pipeline.engine import Engine
from pipeline.errors import InvalidRequest
from pipeline.plan.request import GenerationRequest, Shot, Transition
from pipeline.settings import LARGEST_JSON_BYTES, Settings, read_settings
from pipeline.video.mp4 import join_slices, write_slice
from tests.conftest import PlanMaker, RequestMaker

HOSTILE = 'a red ball"; DROP=1\n#\\ 球 <script>alert(1)</script> ${x} {{y}} ‮'


@pytest.fixture
def request_made(make_request: RequestMaker) -> GenerationRequest:
    return make_request(
        shots=(Shot(prompt=HOSTILE, seconds=2.0),), negative_prompt="=;#\\", vram_limit_gib=4.0, ram_limit_gib=None
    )


@pytest.fixture
def film(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    def make(settings: dict[str, Any]) -> Path:
        piece, joined = tmp_path / "slice-000.mp4", tmp_path / "draft.mp4"
        write_slice(np.zeros((9, 96, 128, 3), np.uint8), piece, fps=24)
        join_slices([piece], joined, title=HOSTILE, settings=settings)
        return joined

    return make


def written(folder: Path, text: str | bytes, name: str = "settings.json") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_film_gives_back_the_request_it_was_made_with(
    film: Callable[[dict[str, Any]], Path], request_made: GenerationRequest
) -> None:
    path = film(asdict(request_made) | {"seams": [{"frame": 5, "faded_frames": 0}]})
    assert read_settings(path) == Settings(request=request_made, edited=False)


@pytest.mark.usefixtures("tiny")
def test_a_film_and_a_folder_that_the_engine_made_give_back_what_was_asked(
    tmp_path: Path, make_plan: PlanMaker
) -> None:
    shots = (Shot(prompt="a red ball", seconds=2), Shot(prompt="a blue star", seconds=2, transition=Transition.CUT))
    plan = make_plan(shots=shots, frames=98)
    Engine(tmp_path).run(plan, "20260101-120000-0123456789abcdef", lambda _: None)
    folder = tmp_path / "20260101-120000-0123456789abcdef"
    assert read_settings(folder / "draft.mp4") == read_settings(folder / "request.json")
    assert read_settings(folder / "draft.mp4") == Settings(request=plan.request, edited=False)


@pytest.mark.parametrize(("said", "edited"), [(True, True), (False, False), (1, False), ("yes", False)])
def test_a_film_of_several_takes_says_so(
    film: Callable[[dict[str, Any]], Path], request_made: GenerationRequest, said: object, edited: bool
) -> None:
    assert read_settings(film(asdict(request_made) | {"edited": said})) == Settings(request=request_made, edited=edited)


def test_a_drafts_request_is_read_as_json(tmp_path: Path, request_made: GenerationRequest) -> None:
    path = written(tmp_path, json.dumps(asdict(request_made)), "request.json")
    assert read_settings(path) == Settings(request=request_made, edited=False)


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"command": "rm -rf /"}, id="an unknown field"),
        pytest.param({"shape": {"width": 128, "height": 96, "depth": 3}}, id="an unknown field of the shape"),
        pytest.param({"shots": [{"prompt": "a", "seconds": 1.0, "path": "/etc/passwd"}]}, id="of a shot"),
        pytest.param({"model": "../../etc/passwd"}, id="a model that is none"),
        pytest.param({"model": "someone/with-code"}, id="a repository"),
        pytest.param({"profile": 7}, id="a profile of the wrong type"),
        pytest.param({"shape": {"width": 10**6, "height": 10**6}}, id="a million pixels wide"),
        pytest.param({"frames": -9}, id="negative frames"),
        pytest.param({"frames": 10**9}, id="endless"),
        pytest.param({"frames": "97"}, id="text for a number"),
        pytest.param({"steps": True}, id="a truth for a number"),
        pytest.param({"steps": 10**4000}, id="a number of four thousand digits"),
        pytest.param({"guidance": 10**4000}, id="the same for a fraction"),
        pytest.param({"guidance": float("nan")}, id="no number"),
        pytest.param({"guidance": float("inf")}, id="infinity"),
        pytest.param({"vram_limit_gib": float("nan")}, id="a limit that is no number"),
        pytest.param({"seed": -1}, id="a negative seed"),
        pytest.param({"shots": []}, id="no shots"),
        pytest.param({"shots": [{"prompt": "a", "seconds": 1.0}] * 33}, id="too many shots"),
        pytest.param({"shots": [{"prompt": "x" * 2001, "seconds": 1.0}]}, id="a sentence that is too long"),
        pytest.param({"shots": [{"prompt": "a\x00b", "seconds": 1.0}]}, id="a zero byte"),
        pytest.param({"shots": [{"prompt": "a", "seconds": -1.0}]}, id="negative seconds"),
        pytest.param({"shots": {"prompt": "a"}}, id="shots that are no list"),
        pytest.param({"lowest_precision": "pickle"}, id="a precision that is none"),
        pytest.param({"decode_float32": "yes"}, id="text for a truth"),
    ],
)
def test_what_no_request_may_ask_is_refused(
    tmp_path: Path, request_made: GenerationRequest, change: dict[str, Any]
) -> None:
    path = written(tmp_path, json.dumps(asdict(request_made) | change))
    with pytest.raises(InvalidRequest) as refused:
        read_settings(path)
    assert len(str(refused.value)) < 500


@pytest.mark.fault(36)
@pytest.mark.parametrize("missing", ["shots", "model", "shape", "frames", "steps", "guidance", "seed"])
def test_a_request_that_is_not_whole_is_refused_by_the_name_of_what_is_missing(
    tmp_path: Path, request_made: GenerationRequest, missing: str
) -> None:
    values = asdict(request_made)
    del values[missing]
    with pytest.raises(InvalidRequest, match=missing):
        read_settings(written(tmp_path, json.dumps(values)))


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("[" * 100_000, id="nested without end"),
        pytest.param("[1, 2]", id="a list"),
        pytest.param('"a red ball"', id="a sentence"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param("1" * 5000, id="a number without end"),
        pytest.param(" " * (LARGEST_JSON_BYTES + 1), id="too large"),
    ],
)
def test_what_is_no_json_object_is_refused(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"settings\.json"):
        read_settings(written(tmp_path, text))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    for name in ("nothing.json", "nothing.mp4", ""):
        with pytest.raises(InvalidRequest, match="There is no file"):
            read_settings(tmp_path / name)


@pytest.mark.fault(36)
def test_the_metadata_of_a_film_is_not_believed(
    film: Callable[[dict[str, Any]], Path], request_made: GenerationRequest
) -> None:
    with pytest.raises(InvalidRequest, match="no setting: 'exec'"):
        read_settings(film(asdict(request_made) | {"exec": "id"}))
    with pytest.raises(InvalidRequest, match="steps"):
        read_settings(film(asdict(request_made) | {"steps": 10**6}))


@pytest.mark.fault(36)
def test_a_film_with_endless_metadata_is_not_read_to_its_end(
    film: Callable[[dict[str, Any]], Path], request_made: GenerationRequest
) -> None:
    path = film(asdict(request_made) | {"seams": ["x" * 2**22]})
    with pytest.raises(InvalidRequest, match="holds no settings"):
        read_settings(path)


@pytest.mark.fault(36)
def test_a_playlist_that_calls_itself_a_film_leads_nowhere(
    tmp_path: Path, film: Callable[[dict[str, Any]], Path], request_made: GenerationRequest
) -> None:
    """ffmpeg takes a list of other files for a film, whatever its name, unless it is told what to expect."""
    real = film(asdict(request_made)).rename(tmp_path / "real.mp4")
    listing = written(tmp_path, f"ffconcat version 1.0\nfile {real.name}\n", "listing.mp4")
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(listing), "-f", "null", "-"]
    assert subprocess.run(ffmpeg, capture_output=True, timeout=60, check=False).returncode == 0  # as it would be taken
    with pytest.raises(InvalidRequest, match="holds no settings"):
        read_settings(listing)


@pytest.mark.skipif(os.name != "posix", reason="the name is not allowed")
def test_a_films_name_is_a_name_and_no_protocol_or_option(
    tmp_path: Path, film: Callable[[dict[str, Any]], Path], request_made: GenerationRequest, monkeypatch: Any
) -> None:
    film(asdict(request_made)).rename(tmp_path / "concat:-i x.mp4")
    monkeypatch.chdir(tmp_path)
    assert read_settings(Path("concat:-i x.mp4")).request == request_made
