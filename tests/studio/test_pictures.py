"""The routes for pictures, and the fields of models that take some, or none."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pipeline.drafts.pictures import LARGEST_FILE_BYTES
from pipeline.plan.catalog import CATALOG, MINIATURE, WAN_5B, WAN_A14B
from pipeline.plan.presets import load_looks
from pipeline.plan.spec import Keyframe
from pipeline.studio.filling import fill
from pipeline.studio.form_desk import MODEL_FIELDS, FormDesk
from pipeline.studio.forms import FIELDS, form_for
from pipeline.studio.guard import LARGEST_BODY_BYTES, Guard, House
from pipeline.studio.pictures import picture_routes

NAME = "a" * 64


def saved(kind: str = "PNG", size: tuple[int, int] = (80, 64)) -> bytes:
    target = io.BytesIO()
    Image.effect_noise(size, 90).save(target, kind)
    return target.getvalue()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """Behind the guard."""
    inside = Starlette(routes=picture_routes(tmp_path / "drafts"))
    with TestClient(Guard(inside, House()), base_url="http://localhost") as client:
        yield client


def test_a_picture_is_seen_under_its_name_and_is_nowhere_else(client: TestClient, tmp_path: Path) -> None:
    content = saved("JPEG")
    answer = client.post("/pictures/start", content=content)
    assert answer.status_code == 200
    name = answer.json()["name"]
    seen = client.get(f"/pictures/{name}.png")
    assert seen.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(seen.content)) as image:
        assert (image.size, image.mode) == ((80, 64), "RGB")
    files = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [f"drafts/.pictures/{name}.png"]
    assert client.post("/pictures/end", content=content).json()["name"] == name


@pytest.mark.parametrize(
    ("language", "said"),
    [("en", "The picture is too small: it has 1 x 1 pixels."), ("zh-CN", "图片太小：只有 1×1 像素。")],
)
def test_what_is_no_picture_gets_a_sentence_in_the_visitors_language(
    client: TestClient, tmp_path: Path, language: str, said: str
) -> None:
    answer = client.post("/pictures/end", content=saved(size=(1, 1)), headers={"Accept-Language": language})
    assert answer.status_code == 422
    assert answer.json()["said"].startswith(said)
    assert not (tmp_path / "drafts").exists()


@pytest.mark.parametrize("file", [f"{NAME}.png", "x.png", "..png", f"{NAME}.jpg", ".pictures"])
def test_nothing_else_is_served(client: TestClient, tmp_path: Path, file: str) -> None:
    folder = tmp_path / "drafts" / ".pictures"
    folder.mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(b"secret")
    (folder / f"{NAME}.png").symlink_to(tmp_path / "secret.png")
    (folder / "x.png").write_bytes(b"secret")
    assert client.get(f"/pictures/{file}").status_code == 404
    assert client.post("/pictures/middle", content=saved()).status_code == 404


def test_a_picture_may_be_larger_than_anything_else_that_is_sent_and_not_larger_than_that(client: TestClient) -> None:
    noise = saved(size=(1000, 800))
    assert len(noise) > LARGEST_BODY_BYTES
    assert client.post("/pictures/start", content=noise).status_code == 200
    assert client.post("/pictures/start", content=b"x" * (LARGEST_FILE_BYTES + 1)).status_code == 413
    assert client.post("/media/x/y", content=noise).status_code == 413


def test_another_page_cannot_give_a_picture(client: TestClient) -> None:
    answer = client.post("/pictures/start", content=saved(), headers={"Origin": "https://example.org"})
    assert answer.status_code == 403


# Fields --------------------------------------------------------------------------------------------------------------
def chosen(model: str) -> dict[str, Any]:
    looks = load_looks()
    updates = FormDesk(looks["balanced"], looks).choose_model(model, "balanced")
    return dict(zip(MODEL_FIELDS, updates, strict=True))


@pytest.mark.parametrize("model", CATALOG)
def test_a_field_is_there_where_the_model_takes_a_picture_and_keeps_what_is_in_it(model: str) -> None:
    updates = chosen(model)
    for place in Keyframe:
        update, able = updates[f"{place}_image"], place in CATALOG[model].keyframes
        assert update["visible"] is able
        assert ("value" in update) is not able


def test_a_form_is_filled_with_the_pictures_that_its_model_takes() -> None:
    for spec, start, end in ((MINIATURE, NAME, NAME), (WAN_5B, NAME, ""), (WAN_A14B, "", "")):
        form = replace(form_for(spec), start_image=NAME, end_image=NAME)
        filled = dict(zip(FIELDS, fill(form), strict=True))
        assert (filled["start_image"]["value"], filled["end_image"]["value"]) == (start, end)
