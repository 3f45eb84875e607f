"""The plot: a png with the change from frame to frame and a line at every seam, or a sentence."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import DraftError, InvalidRequest, WriteFailed
from pipeline.plan.chunks import Seam
from pipeline.seams.check import Verdict, judge
from pipeline.seams.metrics import matched_frames
from pipeline.seams.plot import check_plot, draw
from pipeline.seams.trace import Trace, trace_frames
from tests.seams import field

RED, GREEN, BLUE = (214, 39, 40), (44, 160, 44), (31, 119, 180)
LINE = (89, 89, 89)


def judged(frames: field.Frames, *seams: int) -> tuple[Trace, Verdict]:
    known = tuple(Seam(frame=seam, faded_frames=0) for seam in seams)
    trace = trace_frames(frames, matched=matched_frames(known))
    return trace, judge(trace, known)


def columns(path: Path, colour: tuple[int, int, int]) -> int:
    """How many upright lines of a colour are in a picture."""
    with Image.open(path) as picture:
        there = (np.abs(np.asarray(picture.convert("RGB")).astype(int) - colour).max(axis=2) < 40).sum(axis=0) > 100
    return int((np.diff(there.astype(int)) == 1).sum())


def test_a_plot_marks_every_seam_and_the_flagged_ones_in_red(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="an extra: pip install -e '.[plot]'")
    jump = field.clean()
    jump[64:] = field.cut()[64:]
    draw(*judged(jump, 40, 64, 88), tmp_path / "plot.png")
    assert (columns(tmp_path / "plot.png", GREEN), columns(tmp_path / "plot.png", RED)) == (1, 2)
    draw(*judged(field.clean()), tmp_path / "none.png")
    assert (columns(tmp_path / "none.png", GREEN), columns(tmp_path / "none.png", RED)) == (0, 0)


def test_a_plot_marks_what_was_not_judged_where_it_is_in_the_film(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="an extra: pip install -e '.[plot]'")
    draw(*judged(field.clean(), 40, field.FRAMES - 4, 10**400), tmp_path / "plot.png")
    assert (columns(tmp_path / "plot.png", GREEN), columns(tmp_path / "plot.png", BLUE)) == (1, 1)


def test_a_cut_does_not_press_the_rest_of_the_line_flat(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="an extra: pip install -e '.[plot]'")
    seams, cuts = (Seam(frame=40, faded_frames=0), Seam(frame=96, faded_frames=0)), (64,)
    film = np.concatenate([field.clean()[:64], 255 - field.clean()[64:]])
    trace = trace_frames(film, matched=matched_frames(seams))
    draw(trace, judge(trace, seams, cuts=cuts), tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        there = np.abs(np.asarray(picture.convert("RGB")).astype(int) - LINE).max(axis=2) < 40
    height, width = there.shape
    within = there[height // 6 : height // 2, width // 10 : width // 3]  # above the middle, right of the axis
    assert within.any(axis=0).mean() > 0.9


def test_a_plot_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="an extra: pip install -e '.[plot]'")
    with pytest.raises(WriteFailed, match=r"plot\.png cannot be written: No such file or directory"):
        draw(*judged(field.clean(), 40), tmp_path / "nowhere" / "plot.png")


def test_a_plot_is_a_png(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"not plot\.pdf.*plot\.png"):
        check_plot(tmp_path / "plot.pdf")


def test_without_matplotlib_a_plot_is_refused_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DraftError, match=r"matplotlib, which is not installed.*\[plot\]"):
        check_plot(tmp_path / "plot.png")
