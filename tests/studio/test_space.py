"""A Space is known by its variables; there the page is open to all, framed by Hugging Face, and drafts are small."""

from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from pipeline import leasing
from pipeline.errors import DraftError, InvalidRequest
from pipeline.plan.catalog import MINIATURE, find_model
from pipeline.plan.device import DeviceKind
from pipeline.plan.presets import load_looks, load_profiles
from pipeline.plan.spec import VideoShape
from pipeline.studio import advice
from pipeline.studio import space as space_module
from pipeline.studio.guard import Guard, House
from pipeline.studio.space import LONGEST_SECONDS, SpaceMachine, find_space
from pipeline.studio.visitors import Welcome
from tests.conftest import DeviceMaker, RequestMaker

LARGE = VideoShape(width=320, height=320)
ENVIRONMENT = {"SPACE_ID": "ada/rushes", "SPACE_HOST": "Ada-Rushes.hf.space"}


def test_anywhere_else_there_is_no_space() -> None:
    assert find_space({"SPACE_HOST": "ada-rushes.hf.space"}) is None


def test_a_space_listens_where_it_is_told() -> None:
    space = find_space(ENVIRONMENT)
    assert space
    assert (space.host, space.address, space.port, space.zero) == ("ada-rushes.hf.space", "0.0.0.0", 7860, False)
    told = find_space(
        ENVIRONMENT | {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": "9", "SPACES_ZERO_GPU": "true"}
    )
    assert told
    assert (told.address, told.port, told.zero) == ("127.0.0.1", 9, True)


def visit(house: House) -> TestClient:
    """The guard of a Space before an application that says hello."""

    async def hello(scope: object, receive: object, send: object) -> None:
        await PlainTextResponse("hello")(scope, receive, send)  # type: ignore[arg-type]

    return TestClient(Guard(Welcome(hello), house), base_url="https://ada-rushes.hf.space")


def test_hugging_face_alone_may_frame_the_page_of_a_space() -> None:
    space = find_space(ENVIRONMENT)
    assert space
    answer = visit(space.house()).get("/")
    assert answer.status_code == 200
    assert "frame-ancestors https://huggingface.co;" in f"{answer.headers['content-security-policy']};"
    assert "x-frame-options" not in answer.headers
    here = TestClient(Guard(Welcome(PlainTextResponse("hello")), House()), base_url="http://127.0.0.1").get("/")
    assert "frame-ancestors 'none'" in here.headers["content-security-policy"]
    assert here.headers["x-frame-options"] == "DENY"


def test_a_space_is_known_under_its_own_name_only() -> None:
    space = find_space(ENVIRONMENT)
    assert space
    client = visit(space.house())
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert client.get("/config", headers={"Origin": "https://ada-rushes.hf.space"}).status_code == 200
    assert client.get("/config", headers={"Origin": "https://huggingface.co"}).status_code == 403


def test_a_browser_is_given_a_key_once_and_keeps_it_in_a_frame() -> None:
    space = find_space(ENVIRONMENT)
    assert space
    client = visit(space.house())
    given = client.get("/").headers["set-cookie"]
    for part in ("HttpOnly", "Secure", "SameSite=None", "Partitioned"):
        assert part in given
    assert "set-cookie" not in client.get("/").headers  # the client sends it back
    assert visit(space.house()).get("/").headers["set-cookie"].split(";")[0] != given.split(";")[0]
    assert "set-cookie" in visit(space.house()).get("/", headers={"Cookie": "rushes-visitor=short"}).headers


@pytest.fixture
def machine(make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SpaceMachine:
    monkeypatch.setattr(advice, "probe_device", lambda **_: make_device(gib=16.0))
    return SpaceMachine(load_profiles(), tmp_path, {}, most_seconds=60.0)


def test_what_is_longer_or_takes_longer_than_others_wait_is_refused(
    machine: SpaceMachine, make_request: RequestMaker
) -> None:
    assert machine.plan(make_request(profile="auto"))
    assert machine.plan(make_request(profile="auto", frames=193, seconds=LONGEST_SECONDS))
    with pytest.raises(InvalidRequest, match=r"12\.0 seconds are too long for this Space") as refused:
        machine.plan(make_request(profile="auto", frames=289, seconds=12.0))
    assert refused.value.field == "seconds"
    with pytest.raises(InvalidRequest, match="this Space works 60 s on one at most"):
        machine.plan(make_request(profile="auto", shape=LARGE, frames=193, seconds=LONGEST_SECONDS, steps=100))


def test_a_space_downloads_nothing_for_visitors_and_starts_with_its_own_model(tmp_path: Path) -> None:
    space = find_space(ENVIRONMENT)
    assert space
    worker = space.open_worker(tmp_path, {})
    try:
        studio = space.open_studio(worker, {}, load_looks()["balanced"])
        assert studio.model is MINIATURE
        with pytest.raises(DraftError, match="brings no other models"):
            studio.fetcher.start("ltx-2b")
    finally:
        worker.close()


def test_on_zerogpu_drafts_are_planned_for_the_card_that_is_lent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought: list[str] = []
    monkeypatch.setattr(space_module, "download", lambda spec, _: brought.append(spec.key))
    monkeypatch.setattr(leasing, "report_start", lambda: brought.append("reported"))
    space = find_space(ENVIRONMENT | {"SPACES_ZERO_GPU": "1"})
    assert space
    worker = space.open_worker(tmp_path, {})
    try:
        studio = space.open_studio(worker, {}, load_looks()["balanced"])
        assert brought == ["ltx-2b-distilled", "reported"]
        assert studio.model is find_model("ltx-2b-distilled")
        for profile in studio.machine.profiles.values():
            assert studio.machine.device(profile).kind is DeviceKind.CUDA
        assert [type(watcher).__name__ for watcher in worker.watchers] == ["LeasedEngine"]
    finally:
        worker.close()
