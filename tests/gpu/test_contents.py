"""Weights whose content is not the one they were published with are found out, once for each file."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from pipeline.download import download
from pipeline.errors import ModelUnavailable
from pipeline.gpu import contents
from pipeline.gpu.loading import find_checkpoint
from pipeline.plan.catalog import LTX_2B
from pipeline.plan.spec import Component
from tests.fake_hub import FakeHub
from tests.gpu.test_hostile_weights import FILES, PARTS

VAE = Path(Component.VAE, FILES[Component.VAE])

pytestmark = pytest.mark.usefixtures("fake_hub")


def flip(path: Path) -> None:
    """One bit of one weight: a file as whole as any, to whoever reads its header."""
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.resolve().write_bytes(content)


@pytest.mark.fault(18, 19)
@pytest.mark.parametrize("component", PARTS)
def test_a_flipped_bit_of_what_was_downloaded_is_found_before_it_is_used(
    component: Component,
) -> None:
    path = download(LTX_2B, lambda _: None) / component / FILES[component]
    find_checkpoint(LTX_2B)
    flip(path)
    with pytest.raises(ModelUnavailable, match=f"{re.escape(str(path))} is not what was published") as refusal:
        find_checkpoint(LTX_2B)
    assert "python -m pipeline download ltx-2b" in refusal.value.hint
    download(LTX_2B, lambda _: None)
    find_checkpoint(LTX_2B)


def test_a_file_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = download(LTX_2B, lambda _: None)
    hashed = list[str]()
    digest = contents.hashlib.file_digest
    monkeypatch.setattr(contents.hashlib, "file_digest", lambda s, name: hashed.append(s.name) or digest(s, name))
    find_checkpoint(LTX_2B)
    download(LTX_2B, lambda _: None)
    assert not hashed  # it was when it came
    path = folder / VAE
    path.resolve().touch()
    find_checkpoint(LTX_2B)
    find_checkpoint(LTX_2B)
    assert hashed == [str(path.resolve())]


def test_two_repositories_with_the_same_content_are_hashed_once_each(fake_hub: FakeHub) -> None:
    other = replace(LTX_2B, repository="someone/else")
    fake_hub.files[other.repository] = fake_hub.files[LTX_2B.repository]
    blobs = [(download(spec, lambda _: None) / VAE).resolve() for spec in (LTX_2B, other)]
    assert blobs[0].name == blobs[1].name
    assert all(map(contents.was_checked, blobs))


@pytest.mark.parametrize("record", ["", "[]", "{" * 9, '{"a": 7}'])
def test_a_record_that_cannot_be_read_costs_time_and_nothing_else(record: str) -> None:
    download(LTX_2B, lambda _: None)
    (Path(constants.HF_HUB_CACHE) / contents.RECORD).write_text(record)
    find_checkpoint(LTX_2B)
    assert len(json.loads((Path(constants.HF_HUB_CACHE) / contents.RECORD).read_text())) >= len(PARTS)
