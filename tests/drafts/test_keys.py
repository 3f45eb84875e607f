"""One key, one draft; and a key does not tell the draft's name to whoever knows the key alone."""

import os
from pathlib import Path

import pytest

from pipeline.drafts.journal import ID_PATTERN
from pipeline.drafts.keys import LONGEST_KEY, draft_id_for
from pipeline.errors import InvalidRequest


@pytest.mark.parametrize("key", ["1", "../../etc/passwd", "a\x00b", "钥匙", "\ud800", "k" * LONGEST_KEY])
def test_any_key_gives_a_name_and_the_same_name_once_there_is_such_a_draft(tmp_path: Path, key: str) -> None:
    name = draft_id_for(tmp_path, key)
    assert ID_PATTERN.fullmatch(name)
    (tmp_path / name).mkdir()
    (tmp_path / "20200101-000000-0123456789abcdef").mkdir()
    assert draft_id_for(tmp_path, key) == name
    assert draft_id_for(tmp_path, key + "x" if len(key) < LONGEST_KEY else "x") != name


def test_names_depend_on_a_secret_of_the_folder_that_only_its_owner_reads(tmp_path: Path) -> None:
    endings = set()
    for folder in (tmp_path / "one", tmp_path / "other"):
        folder.mkdir()
        endings.add(draft_id_for(folder, "1").rpartition("-")[2])
        if os.name != "nt":
            assert (folder / ".secret").stat().st_mode & 0o077 == 0
    assert len(endings) == 2


def test_too_long_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=f"{LONGEST_KEY + 1} characters and may have {LONGEST_KEY}"):
        draft_id_for(tmp_path, "k" * (LONGEST_KEY + 1))
    assert not list(tmp_path.iterdir())
