"""The player's own controls, by name and by key, in both languages; the window's title; what can be saved."""

import io
import json
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.browser.studio import BOTH, Visit, sync_api, visitor

FRAME = "Math.floor(video.currentTime * 24 + 0.01)"  # a draft has 24 a second
TALL = {"width": 1280, "height": 1000}
ENDS_AFTER = """took => {
  window.told = [];
  const outcome = new Rushes.Outcome(document.createElement("button"), { texts: {}, note: () => {} });
  outcome.draw({ draft: "a", over: false, outcome: "", progress: 0.5 });
  outcome.draw({ draft: "a", over: true, outcome: "finished", took, sentence: "It is done" });
  return window.told;
}"""
WORDS = {
    "en-GB": {"play": "Play", "pause": "Pause", "on": "One frame on", "back": "One frame back", "speed": "Speed",
              "loop": "Again and again", "place": "Place in the draft", "frames": "Save frames",
              "copy": "Copy settings", "copied": "Copied.", "player": "Draft"},
    "zh-CN": {"play": "播放", "pause": "暂停", "on": "前进一帧", "back": "后退一帧", "speed": "速度",
              "loop": "循环播放", "place": "播放位置", "frames": "保存每一帧", "copy": "复制设置",
              "copied": "已复制。", "player": "草稿"},
}  # fmt: skip


@pytest.fixture(scope="module", params=WORDS)
def watching(
    request: pytest.FixtureRequest, browser: sync_api.Browser, address: str
) -> Iterator[tuple[Visit, dict[str, str]]]:
    """A visitor with a finished draft of three seconds, in a language."""
    clipboard = ["clipboard-read", "clipboard-write"]
    with visitor(browser, address, request.param, viewport=TALL, permissions=clipboard) as visit:
        visit.fill(steps=2)
        visit.make()
        visit.wait_until_over()
        visit.wait_until_playing()
        yield visit, WORDS[request.param]
        assert not visit.errors


def frame(visit: Visit) -> int:
    return int(visit.film(FRAME))


def test_keys_play_step_and_jump_while_the_player_has_the_focus(watching: tuple[Visit, dict[str, str]]) -> None:
    visit, words = watching
    page = visit.page
    page.get_by_role("group", name=words["player"], exact=True).focus()
    page.keyboard.press("Space")
    sync_api.expect(page.get_by_role("button", name=words["play"], exact=True)).to_be_visible()
    page.keyboard.press("Home")
    visit.wait_for_film("video.currentTime < 0.01 && !video.seeking")
    for key, expected in ((".", 1), (".", 2), (",", 1), ("ArrowRight", 25), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        visit.wait_for_film(f"{FRAME} === {expected}")
    assert visit.film("video.paused")
    page.keyboard.press("l")
    assert not visit.film("video.loop")
    sync_api.expect(page.get_by_role("button", name=words["loop"])).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("l")
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement !== null")
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement === null")


def test_the_same_by_buttons(watching: tuple[Visit, dict[str, str]]) -> None:
    visit, words = watching
    page = visit.page
    pause = page.get_by_role("button", name=words["pause"], exact=True)
    if pause.is_visible():
        pause.click()
    before = frame(visit)
    page.get_by_role("button", name=words["on"]).click()
    visit.wait_for_film(f"{FRAME} === {before + 1}")
    page.get_by_role("button", name=words["back"]).click()
    visit.wait_for_film(f"{FRAME} === {before}")
    page.get_by_role("combobox", name=words["speed"]).select_option("2")
    assert visit.film("video.playbackRate") == 2
    page.get_by_role("combobox", name=words["speed"]).select_option("1")
    page.get_by_role("slider", name=words["place"]).fill("2")
    visit.wait_for_film("Math.abs(video.currentTime - 2) < 0.05")
    page.get_by_role("button", name=words["play"], exact=True).click()
    visit.wait_for_film("video.currentTime > 2.3")


def test_typing_in_the_form_moves_nothing_in_the_player(watching: tuple[Visit, dict[str, str]]) -> None:
    visit, words = watching
    page = visit.page
    pause = page.get_by_role("button", name=words["pause"], exact=True)
    if pause.is_visible():
        pause.click()
    before = frame(visit)
    visit.prompt.press_sequentially(" ,.lmf")
    assert frame(visit) == before
    assert visit.film("video.paused && video.loop && !document.fullscreenElement")


def test_frames_are_saved_as_a_zip_and_settings_copied_as_the_command_line_reads_them(
    watching: tuple[Visit, dict[str, str]],
) -> None:
    visit, words = watching
    page = visit.page
    with page.expect_download() as download:
        page.get_by_role("link", name=words["frames"]).click()
    assert download.value.suggested_filename.startswith("rushes-")
    assert "ball" not in download.value.suggested_filename
    archive = zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
    assert archive.testzip() is None
    assert len(archive.namelist()) == 73
    page.get_by_role("button", name=words["copy"]).click()
    page.get_by_text(words["copied"]).wait_for()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert (copied["frames"], copied["shots"][0]["prompt"]) == (73, "a red ball moves left over snow")


@pytest.mark.slow
@pytest.mark.parametrize("locale", BOTH)
def test_the_title_tells_progress_and_the_end_and_a_notification_comes_where_it_was_asked_for(visit: Visit) -> None:
    page = visit.page
    page.add_init_script(
        """window.told = [];
        window.Notification = class { constructor(title, more) { window.told.push(more.body); } };
        Notification.permission = "granted";
        Notification.requestPermission = async () => "granted";
        document.hasFocus = () => false;"""
    )
    visit.open()
    visit.fill(seconds=4, steps=8)
    visit.make()
    visit.stage("preview")
    page.wait_for_function("/^[0-9]+ % – Rushes$/.test(document.title)")
    ask = visit.button("notify")
    ask.click()
    sync_api.expect(ask).to_have_attribute("aria-pressed", "true")
    visit.wait_until_over()
    page.wait_for_function(f"document.title === '{visit.says('title_finished')} – Rushes'")
    assert page.evaluate(ENDS_AFTER, 29) == []
    assert page.evaluate(ENDS_AFTER, 31) == ["It is done"]
    page.keyboard.press("Shift")
    page.wait_for_function("document.title === 'Rushes'")


def test_a_browser_that_can_notify_of_nothing_still_shows_the_end(visit: Visit) -> None:
    visit.page.evaluate(
        """() => {
          window.Notification = class { constructor() { throw new TypeError("Illegal constructor"); } };
          Notification.permission = "granted";
          localStorage.setItem("rushes-notify", "yes");
          document.hasFocus = () => false;
        }"""
    )
    assert visit.page.evaluate(ENDS_AFTER, 31) == []


def with_sound(path: Path) -> Path:
    """A film of two seconds with a tone, as no model here makes one yet."""
    pictures, tone = ("-f", "lavfi", "-i", "testsrc2=s=256x160:r=24:d=2"), ("-f", "lavfi", "-i", "sine=d=2")
    how = ("-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest", "-movflags", "+faststart")
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *pictures, *tone, *how, str(path)], check=True)
    return path


@pytest.mark.slow
def test_a_film_with_sound_begins_without_it_and_keeps_it_once_it_is_wanted(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    visit.fill("a white star falls over sea", seconds=1, steps=1)
    visit.make()
    visit.wait_until_over()
    sound = page.get_by_role("button", name="Sound")
    sync_api.expect(sound).to_be_hidden()  # there is none in a draft
    film = with_sound(tmp_path / "sound.mp4")
    page.route("**/draft.mp4", lambda route: route.fulfill(path=film, content_type="video/mp4"))
    page.reload()
    sync_api.expect(sound).to_have_attribute("aria-pressed", "false")
    visit.wait_for_film("video.currentTime > 0.1 && video.muted && !video.paused")
    sound.click()
    sync_api.expect(sound).to_have_attribute("aria-pressed", "true")
    assert not visit.film("video.muted || video.paused")
    page.reload()
    sync_api.expect(sound).to_have_attribute("aria-pressed", "true")  # or muted by a browser that wants a click first
    visit.wait_for_film("video.currentTime > 0.1 && !video.paused")


@pytest.mark.slow
@pytest.mark.parametrize("locale", BOTH)
def test_stopping_tells_how_much_time_it_saved(visit: Visit) -> None:
    visit.fill(seconds=10, steps=8)
    visit.make()
    visit.stage("video")
    visit.stop_button.click()
    sync_api.expect(visit.sentence).to_have_text(visit.like("stopped_saved"))


@pytest.mark.slow
def test_a_finished_draft_that_goes_on_keeps_its_place_and_its_pause(visit: Visit) -> None:
    page = visit.page
    visit.fill(seconds=6, steps=6)
    visit.make()
    visit.stage("video")
    page.get_by_role("button", name="Stop and keep").click()
    page.get_by_text("Stopped. The first").wait_for()
    page.reload()  # now it plays as a file
    visit.wait_until_over()
    visit.wait_until_playing()
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_role("slider", name="Place in the draft").fill("0.5")
    page.get_by_role("button", name="Continue", exact=True).click()
    page.get_by_text("Done: 6.0 seconds of video").wait_for()
    assert visit.film("video.paused")
    assert abs(visit.seconds() - 0.5) < 0.1
    visit.cells.last.click()
    visit.wait_for_film("video.currentTime > 4")
