"""Weights are told apart by what is in them, not by where they lie or since when."""

import os
from pathlib import Path

import pytest

from pipeline.errors import ModelUnavailable
from pipeline.gpu.identity import SAMPLE_BYTES, SAMPLES, identify_weights

SIZE = 4 * SAMPLES * SAMPLE_BYTES


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(bytes(SIZE))
    return path


def test_date_name_and_folder_are_no_part_of_it(file: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    copied = tmp_path / "there" / "other.safetensors"
    copied.write_bytes(file.read_bytes())
    os.utime(copied, (1, 1))
    assert identify_weights("m", [copied]) == identify_weights("m", [file])


@pytest.mark.parametrize("place", [0, SIZE // 2, SIZE - SAMPLE_BYTES], ids=["begin", "middle", "end"])
def test_other_values_are_other_weights(file: Path, place: int) -> None:
    """Training changes every value; here a stretch as long as what lies between two samples, and one."""
    before = identify_weights("m", [file])
    with file.open("r+b") as opened:
        opened.seek(max(0, min(place, SIZE - 5 * SAMPLE_BYTES)))
        opened.write(b"\x01" * 5 * SAMPLE_BYTES)
    assert identify_weights("m", [file]) != before


def test_a_longer_file_and_another_order_are_other_weights(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(bytes(SIZE + 1))
    names = {identify_weights("m", files) for files in ([file], [other], [file, other], [other, file])}
    assert len(names) == 4


def test_a_short_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    names = set()
    for data in (b"", b"a", b"b", b"ab"):
        path.write_bytes(data)
        names.add(identify_weights("m", [path]))
    assert len(names) == 4


def test_what_the_cache_names_by_its_digest_is_not_read(tmp_path: Path) -> None:
    blob, link = tmp_path / ("0" * 64), tmp_path / "model.safetensors"
    blob.write_bytes(b"a")
    link.symlink_to(blob)
    before = identify_weights("m", [link])
    blob.write_bytes(b"b")
    assert identify_weights("m", [link]) == before


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"model\.safetensors cannot be read: No such file"):
        identify_weights("m", [tmp_path / "model.safetensors"])
