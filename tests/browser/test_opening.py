"""Settings out of a file: chosen or dropped, ours or anybody's; nothing is uploaded, and nothing lost."""

import json
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg
import pytest

from tests.browser.drafts import put_drafts
from tests.browser.studio import Visit, sync_api, visitor

MINE = "my own words"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that Rushes made, of a second."""
    drafts = tmp_path_factory.mktemp("drafts")
    (draft,) = put_drafts(drafts, 1)
    return drafts / draft / "draft.mp4"


def choose(visit: Visit, file: Path) -> None:
    with visit.page.expect_file_chooser() as chooser:
        visit.page.get_by_role("button", name=visit.says("opening_open")).click()
    chooser.value.set_files(file)


def test_a_film_of_ours_fills_the_form_and_is_not_sent(visit: Visit, film: Path) -> None:
    page = visit.page
    sent: list[int] = []
    page.on("request", lambda request: sent.append(len(request.post_data_buffer or b"")))
    choose(visit, film)
    sync_api.expect(visit.prompt).to_have_value("a red ball rises over sea")  # of the draft it is a copy of
    sync_api.expect(page.get_by_text("The form now says what this file was made with.")).to_be_visible()
    assert max(sent) < film.stat().st_size / 2


def test_settings_as_copied_fill_the_form_in_chinese_too(browser: sync_api.Browser, address: str, film: Path) -> None:
    with visitor(browser, address, "zh-CN") as visit:
        choose(visit, film.with_name("request.json"))
        sync_api.expect(visit.prompt).to_have_value("a red ball number 0 rises over sea")
        sync_api.expect(visit.page.get_by_text("表单已填入这个文件的设置。")).to_be_visible()


def test_a_dropped_film_is_read_and_the_page_stays(visit: Visit, film: Path) -> None:
    page = visit.page
    carried = page.evaluate_handle(
        """bytes => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "a.mp4", { type: "video/mp4" })); return data; }""",
        list(film.read_bytes()),
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": carried})
    sync_api.expect(page.get_by_text("Drop a film that Rushes made")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": carried})
    sync_api.expect(visit.prompt).to_have_value("a red ball rises over sea")
    sync_api.expect(page.get_by_text("Drop a film that Rushes made")).to_be_hidden()


def foreign(path: Path) -> None:
    source = ("-f", "lavfi", "-i", "color=red:s=32x32:d=0.2", "-metadata", "comment=hello")
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *source, str(path)], check=True)


def no_film(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 9)


def torn(path: Path) -> None:
    path.write_bytes(struct.pack(">I4s", 24, b"ftyp") + bytes(16) + struct.pack(">I4s", 9, b"moov"))


def too_large(path: Path) -> None:
    path.write_text("[" + "1," * 200_000)


def another_setting(path: Path) -> None:
    path.write_text(json.dumps({"shots": [], "command": "rm"}))


def nobodys_model(path: Path) -> None:
    path.write_text(json.dumps({"model": "sora"}))


@pytest.mark.parametrize(
    ("write", "name", "said"),
    [
        (foreign, "a.mp4", "This film holds no settings of Rushes. Nothing was changed."),
        (no_film, "a.mp4", "This file is neither an mp4 nor settings of Rushes. Nothing was changed."),
        (torn, "a.mp4", "This film holds no settings of Rushes. Nothing was changed."),
        (too_large, "a.json", "This file is neither an mp4 nor settings of Rushes. Nothing was changed."),
        (another_setting, "a.json", "Nothing was changed. The file holds what is no setting: 'command'."),
        (nobodys_model, "a.json", "Nothing was changed. The file: "),
    ],
)
def test_any_other_file_is_refused_in_a_sentence(
    visit: Visit, tmp_path: Path, write: Callable[[Path], None], name: str, said: str
) -> None:
    write(tmp_path / name)
    visit.prompt.fill(MINE)
    choose(visit, tmp_path / name)
    refusal = visit.page.get_by_text(said)
    sync_api.expect(refusal).to_be_visible()
    refusal.evaluate("line => line.textContent = ''")  # as after a while
    choose(visit, tmp_path / name)
    sync_api.expect(refusal).to_be_visible()
    sync_api.expect(visit.prompt).to_have_value(MINE)
