"""`python -m pipeline seams …`: exit codes, what is printed for people and for machines, and every refusal."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from pipeline.__main__ import main
from pipeline.video.mp4 import join_slices, write_slice
from tests.conftest import PlanMaker
from tests.seams import field
from tests.tiny import make_draft

Film = Callable[..., str]


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Film:
    """Write a film of frames in three slices, in a folder of its own, and its seams into it; its name there."""
    monkeypatch.chdir(tmp_path)

    def write(frames: field.Frames, *, seams: bool = True, name: str = "film.mp4") -> str:
        pieces = [Path(f"slice-{index}.mp4") for index in range(3)]
        for piece, part in zip(pieces, (frames[:30], frames[30:72], frames[72:]), strict=True):
            write_slice(part, piece, fps=24)
        rows = [{"frame": frame, "faded_frames": 0} for frame in field.SEAMS]
        settings = {"seams": rows, "film_frames": len(frames)} if seams else {}
        join_slices(pieces, Path(name), title="a test", settings=settings)
        return name

    return write


def changed(name: str, *how: str) -> str:
    """The film as ffmpeg writes it again, which keeps its metadata; its name."""
    before, after, to = how[: how.index("-i")], how[how.index("-i") + 1 :], "changed.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *before, "-i", name, *after, to]
    subprocess.run(command, check=True, timeout=60)
    return to


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_film_without_a_fault_ends_with_0(film: Film, capsys: pytest.CaptureFixture[str]) -> None:
    name = film(field.clean())
    assert main(["seams", name]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("film.mp4, 136 frames, 4 seams\n")
    assert out.endswith("Passed: 0 of 4 seams flagged, none may be.\n")
    assert err == ""


@pytest.mark.parametrize(
    ("make", "metric"),
    [
        (field.cut, "SR"),
        (lambda: field.jumping(8), "SR"),
        (lambda: field.jumping(-1), "SR"),
        (lambda: field.brighter(4), "CS"),
        (lambda: field.gained(1.05), "CS"),
    ],
    ids=["cut", "jump", "repeat", "step", "gain"],
)
def test_a_film_with_faults_ends_with_4_also_after_its_encoding(
    film: Film, capsys: pytest.CaptureFixture[str], make: Callable[[], field.Frames], metric: str
) -> None:
    assert main(["seams", film(make()), "--json"]) == 4
    found = told(capsys)
    assert (found["passed"], found["flagged"]) == (False, 4)
    assert [seam["frame"] for seam in found["seams"]] == list(field.SEAMS)
    assert all(metric in seam["beyond"] for seam in found["seams"])


@pytest.mark.parametrize(
    "how",
    [
        ["-ss", "0.5", "-i", "-c:v", "libx264"],
        ["-i", "-t", "5", "-c", "copy"],
        ["-i", "-r", "12"],
        ["-i", "-r", "48"],
    ],
    ids=["begins later", "ends earlier", "half the rate", "twice the rate"],
)
def test_a_film_of_other_frames_than_it_was_made_with_is_not_judged_by_the_seams_it_names(
    film: Film, capsys: pytest.CaptureFixture[str], how: list[str]
) -> None:
    name = changed(film(field.jumping(8)), *how)
    assert main(["seams", name]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    said = re.match(r"changed\.mp4 was changed after it was made: it had 136 frames then and has (\d+) now", err)
    assert said
    assert int(said[1]) != 136
    assert "--at 49 98" in err
    assert main(["seams", name, "--at", "28", "52"]) in (0, 4)


@pytest.mark.parametrize("how", [["-i", "-c", "copy"], ["-i", "-c:v", "libx264", "-vf", "scale=80:-2"]], ids=" ".join)
def test_a_film_with_all_its_frames_is_judged_as_before(
    film: Film, capsys: pytest.CaptureFixture[str], how: list[str]
) -> None:
    assert main(["seams", changed(film(field.jumping(8)), *how), "--json"]) == 4
    found = told(capsys)
    assert (found["frames"], found["flagged"]) == (136, 4)


def test_a_film_made_before_its_frames_were_counted_is_taken_at_its_word(
    film: Film, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"frame": frame, "faded_frames": 0} for frame in field.SEAMS]
    film(field.jumping(8))
    join_slices([Path("slice-0.mp4"), Path("slice-1.mp4")], Path("old.mp4"), title="", settings={"seams": rows})
    assert main(["seams", "old.mp4", "--json"]) == 4
    assert [seam["frame"] for seam in told(capsys)["seams"]] == [40, 64]


def test_ghosts_are_seen_where_the_fade_is_known(film: Film, capsys: pytest.CaptureFixture[str]) -> None:
    name = film(field.ghosting(6), seams=False)
    assert main(["seams", name, "--at", *map(str, field.SEAMS), "--faded", "16", "--json"]) == 4
    assert [seam["beyond"] for seam in told(capsys)["seams"]] == [["HD"]] * 4
    assert main(["seams", name, "--at", *map(str, field.SEAMS), "--faded", "-1"]) == 2
    assert "0 or more" in capsys.readouterr().err


def test_places_can_be_named_for_any_film(film: Film, capsys: pytest.CaptureFixture[str]) -> None:
    name = film(field.jumping(8), seams=False)
    assert main(["seams", name, "--at", "40", "--json"]) == 4
    assert main(["seams", name, "--at", "52", "30"]) == 0
    assert "\n  30 " in capsys.readouterr().out


def test_small_jumps_at_every_seam_end_with_4_and_the_limit(film: Film, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seams", film(field.jumping(1), seams=False), "--at", *map(str, field.SEAMS)]) == 4
    told = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(
        r"Flagged: 0 of 4 seams flagged, none may be; the median of SR is 1\.\d{3}, up to 1\.25 may be\.", told
    )


def test_places_named_one_by_one_are_all_judged(film: Film, capsys: pytest.CaptureFixture[str]) -> None:
    name = film(field.jumping(8), seams=False)
    for _ in range(2):  # nor does one command remember another's
        assert main(["seams", name, "--at", "40", "--at", "52", "30", "--json"]) == 4
        assert [seam["frame"] for seam in told(capsys)["seams"]] == [30, 40, 52]


def test_drift_is_judged_against_another_film(film: Film, capsys: pytest.CaptureFixture[str]) -> None:
    whole, chunked = film(field.clean(), seams=False, name="whole.mp4"), film(field.gained(1.003))
    assert main(["seams", chunked, "--against", whole]) == 0
    assert "drift that the chunks added: luma +" in capsys.readouterr().out
    bright = film(field.to_frames(field.picture(field.moments()) + 0.2 * field.moments()[:, None, None, None]))
    assert main(["seams", bright]) == 0
    capsys.readouterr()
    assert main(["seams", bright, "--against", whole, "--json"]) == 4
    found = told(capsys)
    assert found["drifted"] == ["luma", "luma_slope"]
    assert found["flagged"] == 0


@pytest.mark.usefixtures("tiny")
def test_a_draft_is_checked_by_its_id_and_one_chunk_passes(
    tmp_path: Path, make_plan: PlanMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    drafts = ["--drafts", str(tmp_path)]
    _, journal = make_draft(tmp_path, make_plan(frames=25, steps=1))
    assert main(["seams", journal.draft, *drafts]) == 0
    assert capsys.readouterr().out.endswith("Passed: it is one chunk, there is no seam.\n")
    _, journal = make_draft(tmp_path, make_plan(frames=97, steps=1))
    assert main(["seams", journal.draft, *drafts, "--json"]) in (0, 4)
    found = told(capsys)
    assert found["film"] == str(journal.video_path())
    assert [(seam["frame"], seam["faded_frames"]) for seam in found["seams"]] == [(49, 8), (73, 8)]


def test_a_plot_is_put_where_it_is_wanted(film: Film, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="an extra: pip install -e '.[plot]'")
    name = film(field.jumping(8))
    assert main(["seams", name, "--plot", "plot.PNG"]) == 4
    assert (tmp_path / "plot.PNG").read_bytes().startswith(b"\x89PNG")
    assert main(["seams", name, "--plot", "nowhere/plot.png"]) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["missing.mp4"], "There is no file missing.mp4."),
        (["20260101-120000-0123456789abcdef"], "There is no draft 20260101-120000-0123456789abcdef in drafts."),
        (["text.mp4", "--at", "40"], "text.mp4 is not a video: ffmpeg finds no picture in it."),
        (["film.mp4"], "Where the seams of film.mp4 are is not written in it"),
        (["film.mp4", "--at", "3"], "Frame 3 is too near the beginning"),
        (["film.mp4", "--at", "-3"], "Frame -3 is too near the beginning"),
        (["film.mp4", "--at", "40", "130"], "Frame 130 is not in film.mp4 or too near its end: it has 136 frames"),
        (["film.mp4", "--at", "40", "--against", "missing.mp4"], "There is no file missing.mp4."),
        (["film.mp4", "--at", "40", "--plot", "plot.jpg"], "A plot is a png, not plot.jpg. Nearest: plot.png."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_checked_ends_with_2_and_a_sentence(
    film: Film, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    film(field.clean(), seams=False)
    (tmp_path / "text.mp4").write_text("I am text")
    assert main(["seams", *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(sentence)
    assert err.count("\n") == 1
    assert main(["seams", *options, "--json"]) == 2
    assert told(capsys)["error"] in err


@pytest.mark.parametrize(
    "command", [["seams", "film.mp4"], ["seams", "film.mp4", "--at", "40"], ["plan", "--settings", "film.mp4"]]
)
def test_a_missing_ffmpeg_ends_with_1_and_a_sentence(
    film: Film, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    film(field.clean())
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "no-ffmpeg")
    assert main(command) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("ffmpeg did not read film.mp4: ")


@pytest.mark.parametrize("options", [[], ["film.mp4", "--at"], ["film.mp4", "--at", "4.5"], ["film.mp4", "--at", "x"]])
def test_a_wrong_option_ends_with_2(options: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["seams", *options])
    assert end.value.code == 2
