"""One draft from the click to the film, watched from outside: what a person wrote is where it belongs only."""

import base64
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import psutil
import pytest
from gradio_client import Client

from pipeline.drafts.journal import MEDIA_PATTERN
from tests.security.live import Studio, open_live

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the recorder is a shell script")

WORD = "aquamarine"
SENTENCE = f"a red ball {WORD} ../../{WORD} -vf {WORD}=1 $({WORD})\n2026-01-01 00:00:00,000 rushes {WORD}"
PASSWORD = "engine number 1"
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Watched:
    """A studio that has made one draft, and what ffmpeg was started with meanwhile."""

    studio: Studio
    draft: str
    commands: str
    busy: dict[str, Any]

    def ask(self, path: str, **request: Any) -> Any:
        return self.studio.ask(path, f"Authorization: Basic {_encoded(f'ada:{PASSWORD}')}", **request)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    recorder, record = folder / "ffmpeg", folder / "commands"
    recorder.write_text(
        f"""#!/bin/sh
{{ printf '%s ' "$@"; tr '\\0' ' ' < /proc/$$/environ; echo; }} >> {record} 2>/dev/null
exec {imageio_ffmpeg.get_ffmpeg_exe()} "$@"
"""
    )
    recorder.chmod(0o755)
    options = ("--listen", "--metrics")
    with open_live(folder, *options, IMAGEIO_FFMPEG_EXE=str(recorder), RUSHES_AUTH=f"ada:{PASSWORD}") as studio:
        watched = Watched(studio, "", "", {})
        body = json.dumps({"data": [SENTENCE, 0.5, "128x96", 7, "", "miniature", "", ""]}).encode()
        answer = watched.ask("/gradio_api/run/make_draft", method="POST", body=body)
        draft = json.loads(answer.body)["data"][0]
        busy: dict[str, Any] = {}
        stop = time.monotonic() + PATIENCE_SECONDS
        while (state := _state(watched, draft)) not in ("finished", "failed"):
            assert time.monotonic() < stop, studio.log
            if state == "running":
                busy = json.loads(watched.ask("/health").body) or busy
            time.sleep(0.2)
        assert state == "finished", studio.log
        yield Watched(studio, draft, record.read_text(encoding="utf-8", errors="replace"), busy)


def _state(watched: Watched, draft: str) -> str:
    body = json.dumps({"data": [draft]}).encode()
    return str(json.loads(watched.ask("/gradio_api/run/status", method="POST", body=body).body)["data"][0]["state"])


def test_the_sentence_is_in_the_journal(watched: Watched) -> None:
    """Else the tests below would prove nothing."""
    request = json.loads((watched.studio.drafts / watched.draft / "request.json").read_text(encoding="utf-8"))
    assert WORD in request["shots"][0]["prompt"]


def test_no_word_of_it_is_in_the_log(watched: Watched) -> None:
    assert "denoise chunk 0" in watched.studio.log
    assert WORD not in watched.studio.log
    assert PASSWORD not in watched.studio.log


def test_no_word_of_it_is_in_a_files_name(watched: Watched) -> None:
    assert not [path for path in watched.studio.folder.rglob("*") if WORD in path.name]


def test_no_word_of_it_is_in_ffmpegs_arguments_nor_the_password_in_its_environment(watched: Watched) -> None:
    assert watched.commands.count("libx264") >= 1
    assert "faststart" in watched.commands
    assert "PATH=" in watched.commands or not Path("/proc/self/environ").exists()
    assert WORD not in watched.commands
    assert PASSWORD not in watched.commands


def test_no_word_of_it_is_in_the_metrics(watched: Watched) -> None:
    text = watched.ask("/metrics").body.decode()
    assert 'rushes_drafts_ended_total{state="finished"} 1.0' in text
    assert "rushes_step_seconds_count 24.0" in text
    assert WORD not in text
    assert watched.draft not in text


@pytest.mark.fault(41)
def test_health_told_busy_and_tells_ready(watched: Watched) -> None:
    assert watched.busy["status"] == "busy"
    answer = watched.ask("/health")
    assert (answer.status, json.loads(answer.body)["status"]) == (200, "ready")


@pytest.mark.fault(37)
def test_of_all_files_of_a_draft_only_its_films_are_served(watched: Watched) -> None:
    files = sorted(path.name for path in (watched.studio.drafts / watched.draft).iterdir())
    assert {"request.json", "plan.json", "events.jsonl", "draft.mp4"} <= set(files)
    for file in files:
        expected = 200 if MEDIA_PATTERN.fullmatch(file) else 404
        assert watched.ask(f"/media/{watched.draft}/{file}").status == expected, file


@pytest.mark.fault(38)
def test_a_program_that_knows_the_password_is_served(watched: Watched) -> None:
    known = {"Authorization": f"Basic {_encoded(f'ada:{PASSWORD}')}"}
    client = Client(f"http://127.0.0.1:{watched.studio.port}", headers=known, verbose=False)
    assert client.predict(watched.draft, api_name="/status")["state"] == "finished"
    client.close()


@pytest.mark.fault(38)
def test_without_the_password_there_is_no_film_no_health_and_no_metrics(watched: Watched) -> None:
    for path in (f"/media/{watched.draft}/draft.mp4", "/health", "/metrics", "/", "/config"):
        assert watched.studio.ask(path).status == 401


def test_the_password_is_in_no_command_line(watched: Watched) -> None:
    studio = psutil.Process(watched.studio.process.pid)
    engine = studio.children(recursive=True)
    assert engine
    for process in (studio, *engine):
        assert PASSWORD not in " ".join(process.cmdline())
    for process in engine:
        assert PASSWORD not in str(process.environ())
