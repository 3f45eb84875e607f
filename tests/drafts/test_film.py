"""How many frames a film has is in the film itself."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.drafts.film import count_frames, count_slice_frames
from pipeline.drafts.journal import Journal
from pipeline.video.mp4 import join_slices, write_slice
from tests import tiny
from tests.drafts.noted import SLICE, journal, plan

__all__ = ["journal", "plan"]


@pytest.mark.parametrize("frames", [1, 2, 41, 600])
def test_a_film_has_the_frames_that_its_index_says(tmp_path: Path, frames: int) -> None:
    piece, film = tmp_path / "slice-000.mp4", tmp_path / "draft.mp4"
    write_slice(np.zeros((frames, 32, 32, 3), np.uint8), piece, fps=24)
    join_slices([piece, piece], film, title="stsz", settings={"prompt": "stsz" * 1000})
    assert count_frames(film) == tiny.count_frames(film) == 2 * frames


@pytest.mark.parametrize("content", [None, b"", b"film", b"stsz", b"stsz\0\0\0\0\0\0\0"])
def test_what_is_no_film_has_no_frames(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "draft.mp4"
    if content is not None:
        path.write_bytes(content)
    assert count_frames(path) == 0


def test_slices_that_were_made_since_are_not_counted(journal: Journal) -> None:
    journal.note(SLICE)
    assert journal.kept_film() == (None, 0)
    write_slice(np.zeros((9, 32, 32, 3), np.uint8), journal.slice_path(0), fps=24)
    join_slices([journal.slice_path(0)], journal.video_path(), title="", settings={})
    assert journal.kept_film() == ("draft.mp4", 9)


@pytest.mark.parametrize("frames", [1, 41, 600])
@pytest.mark.fault(14)
def test_a_slice_that_ends_too_early_has_fewer_frames_than_it_had(tmp_path: Path, frames: int) -> None:
    """Cut at about 500 places, and where a box of it ends."""
    whole, torn = tmp_path / "slice-000.mp4", tmp_path / "slice-001.mp4"
    write_slice(np.random.default_rng(1).integers(0, 256, (frames, 32, 32, 3), np.uint8), whole, fps=24)
    assert count_slice_frames(whole) == tiny.count_frames(whole) == frames
    content, ends = whole.read_bytes(), [0]
    while ends[-1] < len(content):
        ends.append(ends[-1] + int.from_bytes(content[ends[-1] : ends[-1] + 4], "big"))
    last = ends[-2]  # where its table of fragments begins, without which all is there
    for cut in {*range(0, last, 1 + last // 500), *ends[:-2]}:
        torn.write_bytes(content[:cut])
        assert count_slice_frames(torn) < frames, cut


@pytest.mark.parametrize("content", [None, b"", b"slice", b"\0" * 64, b"\0\0\0\x08moof", b"\0\0\0\x01mdat"])
def test_what_is_no_slice_has_no_frames(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "slice-000.mp4"
    if content is not None:
        path.write_bytes(content)
    assert count_slice_frames(path) == 0
