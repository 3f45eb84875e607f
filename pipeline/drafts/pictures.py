"""A person's pictures: read with suspicion, kept by what is in them, and beside the draft that is given them.

    drafts/.pictures/<name>.png     what was given: upright, 8-bit RGB, at most 1,920 pixels a side
    drafts/<id>/start.png, end.png  the same in the draft's own size, cut to its proportions about the centre

A draft reads what is beside it and nothing else, so it goes on from the same picture whatever becomes of the file.
"""

import hashlib
import io
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.drafts.journal import Journal
from pipeline.errors import InvalidRequest, WriteFailed
from pipeline.plan.draft import DraftPlan
from pipeline.plan.keyframes import DIGEST
from pipeline.plan.request import GenerationRequest
from pipeline.plan.spec import Keyframe, VideoShape

FOLDER = ".pictures"
PICTURE_PATTERN = re.compile(rf"{DIGEST.pattern}\.png")
FORMATS = ("PNG", "JPEG", "WEBP")
LARGEST_FILE_BYTES = 2**25  # a telephone's largest JPEG has about half
LEAST_SIDE_PIXELS = 64  # the smallest draft has 96
LARGEST_SIDE_PIXELS = 12_000
MOST_PIXELS = 50_000_000  # 150 MB once decoded; cameras have 12 to 48 million
LARGEST_KEPT_PIXELS = 1920  # a side: half as long again as the largest draft's
MOST_KEPT = 32  # the newest; drafts have copies of their own
BEHIND_ALPHA = (255, 255, 255, 255)  # what is seen through a transparent picture: white, as on most pages


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """8-bit RGB, upright. `name` is the SHA-256 of size and pixels, in hex."""

    image: Image.Image
    name: str

    def keep(self, drafts: Path) -> None:
        """Have it in the drafts folder, for the drafts to come; those not used for longest go. Raises WriteFailed."""
        path = drafts / FOLDER / f"{self.name}.png"
        temporary = path.with_suffix(".new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.image.save(temporary, "PNG")
            temporary.replace(path)
            for old in sorted(path.parent.glob("*.png"), key=lambda kept: -kept.stat().st_mtime)[MOST_KEPT:]:
                old.unlink(missing_ok=True)
        except OSError as error:
            raise WriteFailed(str(path), f"{path} cannot be written: {error.strerror or error}.") from error


def read_picture_file(path: Path, place: Keyframe) -> Picture:
    """The picture in a person's file. Raises InvalidRequest as `read_picture` does, and where there is no such file."""
    field = f"{place}_image"
    try:
        if not path.is_file():
            raise InvalidRequest(field, f"There is no file {path}.", "Give a PNG, JPEG or WebP picture.")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidRequest(field, f"{path} cannot be read: {error.strerror}.") from error
    return read_picture(content, place)


def read_picture(content: bytes, place: Keyframe) -> Picture:
    """The picture in a PNG, JPEG or WebP file: turned as its camera says, without transparency, in 8 bits, made smaller
    where it is larger than any draft has use for. Its size is looked at before anything is decoded.

    Raises:
        InvalidRequest: for another file, a broken one, one that moves, and one that is too small or too large.
    """
    field = f"{place}_image"
    if len(content) > LARGEST_FILE_BYTES:
        raise InvalidRequest(
            field, f"The picture's file is larger than {LARGEST_FILE_BYTES // 2**20} MiB.", "Save it smaller, as JPEG."
        )
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # far beyond MOST_PIXELS
        raise InvalidRequest(
            field, f"The picture has more than {MOST_PIXELS // 10**6} million pixels.", "Make it smaller."
        ) from error
    except Exception as error:  # Pillow's readers raise whatever a broken file makes of them
        raise InvalidRequest(
            field, "That file is no PNG, JPEG or WebP picture, or it is broken.", "Save it as PNG or JPEG."
        ) from error
    _check_size(field, *image.size)
    pictures = getattr(image, "n_frames", 1) if image.format in ("PNG", "WEBP") else 1
    if pictures > 1:
        raise InvalidRequest(field, f"The picture moves: it is {pictures} pictures.", "Save one of them.")
    try:
        image.load()
        upright = _as_rgb(ImageOps.exif_transpose(image))
    except Exception as error:
        raise InvalidRequest(
            field, "The picture cannot be read to its end: its file is cut short or broken.", "Save it again."
        ) from error
    upright.thumbnail((LARGEST_KEPT_PIXELS, LARGEST_KEPT_PIXELS), Image.Resampling.LANCZOS)
    digest = hashlib.sha256(f"{upright.width}x{upright.height}\n".encode() + upright.tobytes())
    return Picture(image=upright, name=digest.hexdigest())


def _check_size(field: str, width: int, height: int) -> None:
    if min(width, height) < LEAST_SIDE_PIXELS:
        raise InvalidRequest(
            field,
            f"The picture is too small: it has {width} x {height} pixels.",
            f"It takes {LEAST_SIDE_PIXELS} or more each way.",
        )
    if max(width, height) > LARGEST_SIDE_PIXELS or width * height > MOST_PIXELS:
        raise InvalidRequest(
            field,
            f"The picture is too large: it has {width:,} x {height:,} pixels.",
            f"At most {LARGEST_SIDE_PIXELS:,} each way and {MOST_PIXELS // 10**6} million together are taken.",
        )


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey, which `convert` would clip
        grey = (np.asarray(image, np.float64) / 257).round().clip(0, 255)
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, BEHIND_ALPHA), image).convert("RGB")
    return image.convert("RGB")


def begin_draft(journal: Journal, plan: DraftPlan) -> None:
    """Make a draft's folder with request, plan and pictures, these in the draft's size: cut to its proportions about
    the centre, resized by Lanczos.

    Raises:
        InvalidRequest: for a picture that is not in the drafts folder; there is no new folder then.
        WriteFailed: when the disk refuses.
    """
    fitted = {place: _fit(journal.folder.parent, place, plan.request) for place in plan.request.pictures}
    journal.begin(plan)
    for place, content in fitted.items():
        with journal.writing(journal.picture_path(place)) as temporary:
            temporary.write_bytes(content)


def _fit(drafts: Path, place: Keyframe, request: GenerationRequest) -> bytes:
    """A kept picture in the draft's size, as PNG."""
    path = drafts / FOLDER / f"{request.pictures[place]}.png"
    said = f"The picture of the {place} frame is not in {drafts} any more."
    whole = _open_kept(path, InvalidRequest(f"{place}_image", said, "Give the picture again."))
    with suppress(OSError):
        path.touch()  # it is in use
    target = io.BytesIO()
    size = request.shape.width, request.shape.height
    ImageOps.fit(whole, size, Image.Resampling.LANCZOS).save(target, "PNG")
    return target.getvalue()


def _open_kept(path: Path, refusal: InvalidRequest) -> Image.Image:
    """A picture that was written here; raises `refusal` where it cannot be read."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            whole: Image.Image = image.convert("RGB")
            return whole
    except (OSError, SyntaxError, ValueError) as error:
        raise refusal from error


def read_beside(journal: Journal, place: Keyframe, shape: VideoShape) -> NDArray[np.uint8]:
    """One of a draft's pictures as frames [1, H, W, 3]. Raises InvalidRequest where it is missing or torn."""
    said = f"The picture of draft {journal.draft}'s {place} frame cannot be read."
    hint = "What is finished can be played; make the draft anew to have it whole."
    frame: NDArray[Any] = np.array(
        _open_kept(journal.picture_path(place), InvalidRequest(f"{place}_image", said, hint))
    )
    assert frame.shape == (shape.height, shape.width, 3), "it was fitted to the draft"
    return frame[None]
