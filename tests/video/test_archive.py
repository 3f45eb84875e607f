"""A film's frames as a zip: all of them, as they are, piece by piece."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.video.archive import zip_frames
from pipeline.video.mp4 import read_frames, write_slice


def test_every_frame_is_in_the_zip_as_it_is_in_the_film(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    frames = np.zeros((9, 32, 48, 3), np.uint8)
    for number in range(9):
        frames[number, :, : 5 * number] = 200
    write_slice(frames, film, fps=24)
    pieces = list(zip_frames(film))
    assert len(pieces) == 10  # a frame at a time, and the list of what is in it
    with zipfile.ZipFile(io.BytesIO(b"".join(pieces))) as archive:
        assert archive.namelist() == [f"frame-{number:05d}.png" for number in range(1, 10)]
        pictures = [np.asarray(Image.open(archive.open(name))) for name in archive.namelist()]
    assert all(np.array_equal(*pair) for pair in zip(pictures, read_frames(film), strict=True))
