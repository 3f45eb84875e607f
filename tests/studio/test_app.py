"""Starting the studio: what is in the way is said in one sentence with exit code 2, before anything is loaded."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

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


def test_a_drafts_folder_in_use_is_told(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"):
        done = start("--port", "0", "--drafts", str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "Another Rushes" in done.stderr


def test_a_drafts_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = start("--port", "0", "--drafts", str(tmp_path / "file" / "drafts"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize("size", ["0", "-3", "nan", "inf", "much"])
def test_a_size_to_keep_that_is_none_is_told_before_anything_is_deleted(tmp_path: Path, size: str) -> None:
    done = start("--keep-gib", size, "--drafts", str(tmp_path / "drafts"))
    assert done.returncode == 2
    assert "--keep-gib" in done.stderr
    assert not (tmp_path / "drafts").exists()
