"""Starting the studio: what is in the way is said in one sentence with exit code 2, before anything is loaded."""

import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from filelock import FileLock

import app

ROOT = Path(__file__).resolve().parents[2]


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The studio, which is expected to end by itself."""
    command = [sys.executable, "app.py", "--no-browser", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = start("--port", port, "--drafts", str(tmp_path / "drafts"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert port in done.stderr
    assert "--port" in done.stderr


def test_an_impossible_port_is_told(tmp_path: Path) -> None:
    done = start("--port", "99999", "--drafts", str(tmp_path / "drafts"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_a_drafts_folder_in_use_is_told_and_can_be_looked_at(tmp_path: Path) -> None:
    """In one sentence on standard error, before the page answers; it makes nothing there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "app.py", "--no-browser", "--port", port, "--drafts", str(tmp_path)]
    with FileLock(tmp_path / ".lock"), subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as app:
        assert app.stderr is not None
        try:
            said = list[str]()
            for line in app.stderr:
                said.append(line)
                if "Rushes is at" in line:
                    break
            answered = urllib.request.urlopen(f"http://127.0.0.1:{port}/").status
            app.terminate()
            code = app.wait(60)
        finally:
            app.kill()
    assert (answered, code) == (200, 0)
    assert ["can only be looked at" in line for line in said].index(True) < len(said) - 1
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_drafts_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = start("--port", "0", "--drafts", str(tmp_path / "file" / "drafts"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot be written" in done.stderr


@pytest.mark.fault(38)
def test_a_page_for_everybody_is_refused_unless_that_is_spelled_out(tmp_path: Path) -> None:
    done = start("--listen", "--port", "0", "--drafts", str(tmp_path / "drafts"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--auth" in done.stderr
    assert "--insecure" in done.stderr
    assert not (tmp_path / "drafts").exists()


@pytest.mark.fault(38)
def test_a_password_that_is_no_good_is_refused_and_not_repeated(tmp_path: Path) -> None:
    done = start("--listen", "--auth", "ada:tiny", "--port", "0", "--drafts", str(tmp_path / "drafts"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "tiny" not in done.stderr


def test_small_answers_are_sent_at_once() -> None:
    """Else each waits 40 ms for the other side to say that it has the piece before."""
    with app._bind("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize("size", ["0", "-3", "nan", "inf", "much"])
def test_a_size_to_keep_that_is_none_is_told_before_anything_is_deleted(tmp_path: Path, size: str) -> None:
    done = start("--keep-gib", size, "--drafts", str(tmp_path / "drafts"))
    assert done.returncode == 2
    assert "--keep-gib" in done.stderr
    assert not (tmp_path / "drafts").exists()
