"""Pictures to begin and end with, in a real browser: given, seen, used, taken away."""

import io
import re
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from tests.browser.studio import Visit, sync_api

expect = sync_api.expect
REFUSED = "status of 422"
CARRY = """(where, [bytes, names]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([new Uint8Array(bytes)], "a.png", { type: "image/png" }));
  const how = { bubbles: true, cancelable: true };
  for (const name of names)
    where.dispatchEvent(name === "paste" ? new ClipboardEvent(name, { ...how, clipboardData: carried })
      : new DragEvent(name, { ...how, dataTransfer: carried }));
}"""


class Field:
    """A picture's field on the page: `start_image` or `end_image`."""

    def __init__(self, visit: Visit, name: str) -> None:
        self.visit = visit
        self.place = visit.page.get_by_role("group", name=visit.says(name), exact=True)
        self.shown = self.place.get_by_role("img", name=visit.says(name), exact=True)
        self.said = self.place.get_by_role("status")
        self.button = self.place.get_by_role(
            "button", name=re.compile("|".join(map(visit.says, ("picture_choose", "picture_other"))))
        )

    def choose(self, picture: bytes) -> None:
        with self.visit.page.expect_file_chooser() as chooser:
            self.button.click()
        chooser.value.set_files({"name": "a.png", "mimeType": "image/png", "buffer": picture})

    def drop(self, picture: bytes) -> None:
        self.button.evaluate(CARRY, [list(picture), ["dragenter", "dragover", "drop"]])

    def paste(self, picture: bytes) -> None:
        self.button.evaluate(CARRY, [list(picture), ["paste"]])

    def address(self) -> str:
        """Of the picture that is shown."""
        return str(self.shown.get_attribute("src"))


def png(colour: str, size: tuple[int, int] = (160, 100)) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, colour).save(target, "PNG")
    return target.getvalue()


@pytest.mark.slow
def test_a_picture_is_chosen_dropped_or_pasted_refused_in_a_sentence_and_removed(visit: Visit) -> None:
    page = visit.page
    visit.more_button.click()
    start, end = Field(visit, "start_image"), Field(visit, "end_image")
    start.choose(png("red"))
    expect(start.shown).to_be_visible()
    red = start.address()
    end.drop(png("blue"))
    expect(end.shown).to_be_visible()
    expect(page.get_by_text(visit.says("opening_drop"))).to_be_hidden()
    assert end.address() != red
    end.paste(png("red"))
    expect(end.shown).to_have_attribute("src", red)
    end.drop(png("blue", (1, 1)))
    expect(end.said).to_contain_text("too small: it has 1 x 1 pixels")
    expect(end.shown).to_have_attribute("src", red)
    visit.button("end_image_remove").click()
    expect(end.shown).to_be_hidden()
    expect(end.said).to_be_empty()
    visit.open()
    visit.more_button.click()
    expect(start.shown).to_have_attribute("src", red)
    visit.model.click()
    page.get_by_role("option", name="Wan2.2 TI2V-5B").click()
    expect(end.place).to_be_hidden()
    expect(start.shown).to_have_attribute("src", red)
    visit.model.click()
    page.get_by_role("option", name="Miniature").click()
    expect(end.button).to_be_visible()


@pytest.mark.slow
def test_a_draft_begins_with_the_picture_of_the_form(visit: Visit, tmp_path_factory: pytest.TempPathFactory) -> None:
    visit.fill(seconds=1.0, steps=2)
    start = Field(visit, "start_image")
    start.choose(png("green"))
    expect(start.shown).to_be_visible()
    name = start.address().rpartition("/")[2].removesuffix(".png")
    visit.make()
    visit.wait_until_over()
    requests = [path.read_text() for path in Path(tmp_path_factory.getbasetemp()).rglob("request.json")]
    assert any(f'"start_image": "{name}"' in request for request in requests)
