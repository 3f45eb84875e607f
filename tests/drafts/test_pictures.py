"""A person's pictures: whatever the file, it is a picture of the draft's size or a sentence; nothing else happens."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.drafts.journal import Journal, new_draft_id
from pipeline.drafts.pictures import (
    FOLDER,
    LARGEST_KEPT_PIXELS,
    MOST_KEPT,
    begin_draft,
    read_beside,
    read_picture,
    read_picture_file,
)
from pipeline.errors import InvalidRequest
from pipeline.plan.spec import Keyframe
from tests.conftest import SMALL, PlanMaker

LEFT, RIGHT = (200, 40, 30), (20, 60, 220)


def halves(width: int = 96, height: int = 64) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), LEFT)
    image.paste(RIGHT, (width // 2, 0, width, height))
    return image


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def pixels(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(read_picture(content, Keyframe.START).image)


def png_header(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and has nothing more."""

    def block(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + block(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + block(b"IDAT", b"")
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_pictures_are_named_by_what_is_in_them(kind: str) -> None:
    picture = read_picture(saved(halves(), kind), Keyframe.START)
    again = read_picture(saved(picture.image, "PNG", compress_level=1), Keyframe.END)
    other = read_picture(saved(halves(64, 96)), Keyframe.START)
    assert (picture.image.mode, picture.image.size) == ("RGB", (96, 64))
    assert picture.name == again.name != other.name
    assert np.abs(np.asarray(picture.image)[32, 20].astype(int) - LEFT).max() < 12


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (64, 64), 128), (128, 128, 128)),
        (Image.fromarray(np.full((64, 64), 128 * 257, np.uint16)), (128, 128, 128)),
        (Image.new("1", (64, 64), 1), (255, 255, 255)),
        (halves(64, 64).crop((0, 0, 64, 64)).quantize(8), LEFT),
        (Image.new("RGBA", (64, 64), (*LEFT, 0)), (255, 255, 255)),
        (Image.new("RGBA", (64, 64), (0, 0, 0, 128)), (127, 127, 127)),
        (Image.new("LA", (64, 64), (10, 255)), (10, 10, 10)),
    ],
    ids=["grey", "16 bit", "1 bit", "palette", "transparent", "half transparent", "grey with alpha"],
)
def test_every_kind_of_picture_becomes_plain_colours(image: Image.Image, expected: tuple[int, int, int]) -> None:
    assert np.abs(pixels(saved(image))[10, 10].astype(int) - expected).max() <= 2


def test_a_picture_for_print_becomes_one_for_screens() -> None:
    assert np.abs(pixels(saved(halves().convert("CMYK"), "JPEG"))[32, 20].astype(int) - LEFT).max() < 12


def test_a_picture_is_turned_as_its_camera_says() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    turned = pixels(saved(halves(), "JPEG", exif=exif, quality=95))
    assert turned.shape == (96, 64, 3)
    assert np.abs(turned[20, 32].astype(int) - LEFT).max() < 12
    assert np.abs(turned[76, 32].astype(int) - RIGHT).max() < 12


def test_a_large_picture_is_kept_smaller() -> None:
    assert read_picture(saved(halves(3000, 1000)), Keyframe.START).image.size == (LARGEST_KEPT_PIXELS, 640)


HOSTILE = {
    "one pixel": (saved(Image.new("RGB", (1, 1))), r"too small: it has 1 x 1 pixels\. It takes 64 or more"),
    "narrow": (saved(Image.new("RGB", (63, 500))), "too small"),
    "wide": (saved(Image.new("1", (20_000, 64))), r"too large: it has 20,000 x 64 pixels\. At most 12,000"),
    "many pixels": (png_header(9000, 9000), "too large: it has 9,000 x 9,000"),
    "a bomb": (png_header(20_000, 20_000), "more than 50 million pixels"),
    "almost a bomb": (png_header(11_000, 11_000), "pixels"),
    "header only": (png_header(100, 100), "cut short or broken"),
    "cut short": (saved(Image.effect_noise((200, 200), 90).convert("RGB"))[:5000], "cut short or broken"),
    "JPEG cut short": (saved(Image.effect_noise((200, 200), 90), "JPEG")[:3000], "cut short or broken"),
    "animated WebP": (
        saved(halves(), "WEBP", save_all=True, append_images=[halves(96, 64).rotate(180)]),
        "it is 2 pic",
    ),
    "animated PNG": (saved(halves(), "PNG", save_all=True, append_images=[halves().rotate(180)]), "it is 2 pictures"),
    "GIF": (saved(halves(), "GIF"), "no PNG, JPEG or WebP"),
    "TIFF": (saved(halves(), "TIFF"), "no PNG, JPEG or WebP"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no PNG, JPEG or WebP"),
    "text": (b"hello", "no PNG, JPEG or WebP"),
    "nothing": (b"", "no PNG, JPEG or WebP"),
}


@pytest.mark.parametrize(("content", "said"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_usable_picture_gets_a_sentence(content: bytes, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as caught:
        read_picture(content, Keyframe.END)
    assert caught.value.field == "end_image"


def test_nothing_is_decoded_of_a_picture_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("decoded")

    content = saved(Image.new("1", (13_000, 64)))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)
    with pytest.raises(InvalidRequest, match="too large"):
        read_picture(content, Keyframe.START)


def test_a_file_that_is_not_there_a_folder_and_one_too_large_get_a_sentence(tmp_path: Path) -> None:
    huge = tmp_path / "huge.png"
    with huge.open("wb") as file:
        file.truncate(2**25 + 1)
    for path, said in ((tmp_path / "none.png", "no file"), (tmp_path, "no file"), (huge, "larger than 32 MiB")):
        with pytest.raises(InvalidRequest, match=said):
            read_picture_file(path, Keyframe.START)


@pytest.fixture
def begun(tmp_path: Path, make_plan: PlanMaker) -> Callable[[Image.Image], Journal]:
    """A draft of 128 x 96 that begins with a picture."""

    def begin(image: Image.Image) -> Journal:
        picture = read_picture(saved(image), Keyframe.START)
        picture.keep(tmp_path)
        journal = Journal(tmp_path, new_draft_id())
        begin_draft(journal, make_plan(start_image=picture.name))
        return journal

    return begin


def test_a_picture_is_cut_about_its_centre_to_the_drafts_size(begun: Callable[[Image.Image], Journal]) -> None:
    wide = Image.new("RGB", (400, 96), (0, 0, 0))
    wide.paste(LEFT, (136, 0, 200, 96))
    wide.paste(RIGHT, (200, 0, 264, 96))
    frames = read_beside(begun(wide), Keyframe.START, SMALL)
    assert (frames.shape, frames.dtype) == ((1, 96, 128, 3), np.uint8)
    assert (frames[0, :, 2] == LEFT).all()
    assert (frames[0, :, 125] == RIGHT).all()


def test_what_is_beside_a_draft_outlives_the_file_it_came_from(
    tmp_path: Path, begun: Callable[[Image.Image], Journal]
) -> None:
    journal = begun(halves())
    for kept in (tmp_path / FOLDER).iterdir():
        kept.unlink()
    assert read_beside(journal, Keyframe.START, SMALL).mean() > 0
    journal.picture_path(Keyframe.START).write_bytes(b"torn")
    with pytest.raises(InvalidRequest, match="start frame cannot be read"):
        read_beside(journal, Keyframe.START, SMALL)


def test_no_folder_is_left_of_a_draft_whose_picture_is_gone(tmp_path: Path, make_plan: PlanMaker) -> None:
    plan = make_plan()
    plan = replace(plan, request=replace(plan.request, start_image="0" * 64))
    with pytest.raises(InvalidRequest, match=r"start frame is not in .* any more"):
        begin_draft(Journal(tmp_path, new_draft_id()), plan)
    assert not list(tmp_path.iterdir())


def test_only_so_many_pictures_are_kept(tmp_path: Path) -> None:
    for level in range(MOST_KEPT + 2):
        picture = read_picture(saved(Image.new("RGB", (64, 64), (level, 0, 0))), Keyframe.START)
        picture.keep(tmp_path)
    kept = {path.stem for path in (tmp_path / FOLDER).iterdir()}
    assert len(kept) == MOST_KEPT
    assert picture.name in kept
