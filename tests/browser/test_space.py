"""The studio as a Space on a processor: unchanged, open to all, and each browser with its own drafts."""

import re
from collections.abc import Iterator

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.browser.studio import BOTH, SENTENCE, Visit, open_studio, sync_api, visitor

pytestmark = pytest.mark.slow

expect = sync_api.expect
TOO_LONG = {"en-GB": "30.0 seconds are too long for this Space", "zh-CN": "30.0 秒对这个 Space 来说太长"}
HER_KEY = "a-program-of-adas-own-1"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """As Spaces starts it: no argument that it heeds, only its variables."""
    space = ("env", "SPACE_ID=ada/rushes", "SPACE_HOST=ada-rushes.hf.space")
    with open_studio(tmp_path_factory.mktemp("studio"), before=space) as url:
        yield url


def test_a_visitor_makes_a_draft_that_no_other_visitor_sees(visit: Visit, browser: sync_api.Browser) -> None:
    visit.fill(seconds=1, steps=2)
    visit.make()
    visit.wait_until_over()
    mine = visit.page.request.post(f"{visit.address}gradio_api/run/shelf", data={"data": [20]}).json()["data"][0]
    assert [draft["prompt"] for draft in mine] == [SENTENCE]
    visit.page.reload()
    expect(visit.shelf).to_contain_text(SENTENCE)
    with visitor(browser, visit.address) as other:
        theirs = other.page.request.post(f"{visit.address}gradio_api/run/shelf", data={"data": [20]}).json()["data"][0]
        assert theirs == []
        expect(other.shelf).not_to_contain_text(SENTENCE)
        asked = other.page.request.post(f"{visit.address}gradio_api/run/delete", data={"data": [mine[0]["draft"]]})
        assert "There is no such draft" in asked.text()


def test_a_program_brings_its_own_key(address: str) -> None:
    client = Client(address, verbose=False, headers={"Cookie": f"rushes-visitor={HER_KEY}"})
    draft = client.predict(SENTENCE, 1.0, "wide", 5, api_name="/make_draft")
    assert [entry["draft"] for entry in client.predict(20, api_name="/shelf")] == [draft]
    client.close()
    stranger = Client(address, verbose=False)
    assert stranger.predict(20, api_name="/shelf") == []
    with pytest.raises(AppError, match="There is no draft"):
        stranger.predict(draft, api_name="/status")
    stranger.close()


@pytest.mark.parametrize("locale", BOTH)
def test_what_is_too_long_for_a_space_is_said_before_the_button(visit: Visit, locale: str) -> None:
    visit.prompt.fill(SENTENCE)
    visit.length.fill("30")
    expect(visit.line).to_contain_text(TOO_LONG[locale])


def test_no_visitor_downloads_a_model(visit: Visit) -> None:
    visit.page.get_by_role("tab", name="Models").click()
    expect(visit.page.get_by_role("button", name="Use this model: Miniature")).to_be_visible()
    expect(visit.page.get_by_role("button", name=re.compile("^Download"))).to_have_count(0)
    expect(visit.page.get_by_text("This Space brings no other models").first).to_be_visible()


def test_a_page_of_hugging_faces_may_frame_it(visit: Visit) -> None:
    headers = visit.page.request.get(visit.address).headers
    assert "frame-ancestors https://huggingface.co" in headers["content-security-policy"]
