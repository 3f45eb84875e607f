"""What the browser's tests share. What needs a browser is skipped where no Chromium is found on PATH."""

from collections.abc import Callable, Iterator
from pathlib import Path
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


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the studio has its drafts and its cache."""
    return tmp_path_factory.mktemp("studio")


@pytest.fixture(scope="package")
def address(folder: Path) -> Iterator[str]:
    """The studio of all files that want none of their own: starting one costs as much as several tests."""
    from tests.browser.studio import open_studio

    with open_studio(folder) as url:
        yield url


@pytest.fixture(scope="package")
def browser() -> Iterator["sync_api.Browser"]:
    from tests.browser.studio import CHROMIUM, sync_api

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def context_in(browser: "sync_api.Browser") -> Iterator[Callable[[str], "sync_api.BrowserContext"]]:
    """One for all visitors of a language, who find the page's scripts where the one before left them, nothing else."""
    contexts = dict[str, "sync_api.BrowserContext"]()

    def find(locale: str) -> "sync_api.BrowserContext":
        if locale not in contexts:
            contexts[locale] = browser.new_context(viewport={"width": 1280, "height": 800}, locale=locale)
        return contexts[locale]

    yield find
    for context in contexts.values():
        context.close()


@pytest.fixture
def locale() -> str:
    """What the visitor's browser speaks; a test that is told in both languages has it as a parameter."""
    return "en-GB"


@pytest.fixture
def visit(context_in: Callable[[str], "sync_api.BrowserContext"], address: str, locale: str) -> Iterator["Visit"]:
    """A new visitor, whose page logs no error and asks nobody else for anything."""
    from tests.browser.studio import Visit

    context = context_in(locale)
    visit = Visit(context.new_page(), address, locale)
    visit.open()
    yield visit
    errors = visit.unexpected
    forget(context, address)
    assert not errors
    assert not visit.elsewhere


def forget(context: "sync_api.BrowserContext", address: str) -> None:
    """Leave the next visitor neither pages nor cookies nor what the page kept."""
    last, *others = context.pages
    for page in others:
        page.close()
    last.goto("about:blank")  # nobody keeps anything there any more
    everything = {"origin": address.rstrip("/"), "storageTypes": "all"}
    context.new_cdp_session(last).send("Storage.clearDataForOrigin", everything)
    context.clear_cookies()
    context.clear_permissions()
    last.close()
