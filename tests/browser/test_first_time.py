"""The README's first time on the page, done as it is written there."""

import re

from tests.browser.studio import ROOT, Visit, sync_api

STEP = re.compile(r"^\d\. (.+)$", re.M)
DEED = re.compile(r"(Type|Click|says) \*([^*]+)\*|\*\*([^*]+)\*\*")


def steps() -> list[str]:
    """The lines of the list that follows `A first time there:`."""
    told = (ROOT / "README.md").read_text(encoding="utf-8").partition("A first time there:\n\n")[2]
    return STEP.findall(told.partition("\n\n")[0])


def test_a_first_time_goes_as_the_readme_tells(visit: Visit) -> None:
    page, done = visit.page, list[str]()
    assert len(steps()) == 5
    for step in steps():
        for verb, what, button in DEED.findall(step):
            if verb == "Type":
                visit.prompt.fill(what)
                sync_api.expect(visit.line).to_contain_text("About")
            elif verb == "Click":
                page.get_by_role("button", name=what).click()
            elif verb == "says":
                sync_api.expect(page.get_by_text(re.compile(f"^{what}: "))).to_be_visible(timeout=240_000)
            elif button == "Save video":
                with page.expect_download() as film:
                    page.get_by_role("link", name=button).click()
                assert film.value.suggested_filename.endswith(".mp4")
            else:
                page.get_by_role("button", name=button, exact=True).click()
                if button != "Undo":  # of two drafts only the newer one says that it is being made
                    sync_api.expect(visit.saved).to_be_hidden()
            done.append(verb or button)
    assert done == ["Type", "Make draft", "says", "Click", "Redo", "says", "Undo", "Save video"]
