"""What the browser's tests share. What needs a browser is skipped where no Chromium is found on PATH."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.browser.studio import Visit, sync_api


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip them; what is told in both languages is usually done in English only, test_chinese.py apart."""
    for item in items:
        if "[zh-CN" in item.name:
            item.add_marker(pytest.mark.slow)
    needing = [item for item in items if "browser" in getattr(item, "fixturenames", ())]
    if needing:
        from tests.browser.studio import CHROMIUM

        for item in needing if CHROMIUM is None else ():
            item.add_marker(pytest.mark.skip(reason="no chromium on PATH"))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A studio for the whole file."""
    from tests.browser.studio import open_studio

    with open_studio(tmp_path_factory.mktemp("studio")) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    from tests.browser.studio import CHROMIUM, sync_api

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: "sync_api.Browser", address: str) -> Iterator["Visit"]:
    """A new visitor, whose page logs no error and asks nobody else for anything."""
    from tests.browser.studio import EXPECTED_MESSAGES, Visit

    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    visit = Visit(context.new_page(), address)
    visit.open()
    yield visit
    assert not [error for error in visit.errors if not EXPECTED_MESSAGES.search(error)]
    assert not visit.elsewhere
    context.close()
