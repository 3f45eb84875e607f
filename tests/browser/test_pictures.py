"""Pictures to begin and end with, in a real browser: given, seen, used, taken away."""

import io
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from tests.browser.studio import Visit, sync_api

expect = sync_api.expect
REFUSED = "status of 422"
DROP = """([place, bytes]) => {
  const file = new File([new Uint8Array(bytes)], "a.png", { type: "image/png" });
  const carried = new DataTransfer();
  carried.items.add(file);
  const target = document.querySelector(`#rushes-${place}-image .place`);
  for (const name of ["dragenter", "dragover", "drop"])
    target.dispatchEvent(new DragEvent(name, { bubbles: true, cancelable: true, dataTransfer: carried }));
}"""
PASTE = """([place, bytes]) => {
  const carried = new DataTransfer();
  carried.items.add(new File([new Uint8Array(bytes)], "a.png", { type: "image/png" }));
  document.querySelector(`#rushes-${place}-image .choose`)
    .dispatchEvent(new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: carried }));
}"""


def png(colour: str, size: tuple[int, int] = (160, 100)) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", size, colour).save(target, "PNG")
    return target.getvalue()


@pytest.mark.slow
def test_a_picture_is_chosen_dropped_or_pasted_refused_in_a_sentence_and_removed(visit: Visit) -> None:
    page = visit.page
    page.locator("#rushes-more > button").click()
    start, end = (page.locator(f"#rushes-{place}-image") for place in ("start", "end"))
    start.locator(".file").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": png("red")})
    expect(start.locator(".shown")).to_be_visible()
    red = start.locator(".shown").get_attribute("src")
    page.evaluate(DROP, ["end", list(png("blue"))])
    expect(end.locator(".shown")).to_be_visible()
    expect(page.locator("#rushes-drop")).to_be_hidden()
    assert end.locator(".shown").get_attribute("src") != red
    page.evaluate(PASTE, ["end", list(png("red"))])
    expect(end.locator(".shown")).to_have_attribute("src", str(red))
    page.evaluate(DROP, ["end", list(png("blue", (1, 1)))])
    expect(end.locator(".said")).to_contain_text("too small: it has 1 x 1 pixels")
    expect(end.locator(".shown")).to_have_attribute("src", str(red))
    end.get_by_role("button", name="Remove the end frame").click()
    expect(end.locator(".shown")).to_be_hidden()
    expect(end.locator(".said")).to_be_empty()
    visit.open()
    page.locator("#rushes-more > button").click()
    expect(start.locator(".shown")).to_have_attribute("src", str(red))
    page.locator("#rushes-model input").click()
    page.get_by_role("option", name="Wan2.2 TI2V-5B").click()
    expect(end).to_be_hidden()
    expect(start.locator(".shown")).to_have_attribute("src", str(red))
    page.locator("#rushes-model input").click()
    page.get_by_role("option", name="Miniature").click()
    expect(end.locator(".choose")).to_be_visible()


@pytest.mark.slow
def test_a_draft_begins_with_the_picture_of_the_form(visit: Visit, tmp_path_factory: pytest.TempPathFactory) -> None:
    page = visit.page
    visit.fill(seconds=1.0, steps=2)
    field = page.locator("#rushes-start-image")
    field.locator(".file").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": png("green")})
    expect(field.locator(".shown")).to_be_visible()
    name = str(field.locator(".shown").get_attribute("src")).rpartition("/")[2].removesuffix(".png")
    visit.make()
    visit.wait_until_over()
    requests = [path.read_text() for path in Path(tmp_path_factory.getbasetemp()).rglob("request.json")]
    assert any(f'"start_image": "{name}"' in request for request in requests)
