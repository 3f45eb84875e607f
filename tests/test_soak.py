"""The short forms of tests/bench/soak: nothing lost, doubled, half written or leaked. How fast is for the long ones."""

from pathlib import Path

from tests.bench.soak.__main__ import plan_of
from tests.bench.soak.followers import soak_followers
from tests.bench.soak.jobs import soak_jobs
from tests.bench.soak.kills import soak_kills
from tests.bench.soak.queue import soak_queue


def test_killed_processes_lose_double_and_halve_nothing_and_change_no_picture(tmp_path: Path) -> None:
    figures = soak_kills(tmp_path, 3)
    assert len(figures.respawn_seconds) == 3
    assert figures.drafts >= 2
    assert (figures.lost, figures.doubled, figures.half_files, figures.different) == ([], [], [], [])


def test_a_restart_has_a_long_queue_again(tmp_path: Path) -> None:
    assert soak_queue(tmp_path, 60, plan_of(9, 1, tmp_path)).in_order


def test_every_follower_of_a_draft_sees_its_end(tmp_path: Path) -> None:
    figures = soak_followers(tmp_path, 20, plan_of(9, 4, tmp_path))
    assert figures.saw_the_end == 20
    assert figures.updates >= 40


def test_one_engine_makes_many_drafts_and_holds_on_to_nothing(tmp_path: Path) -> None:
    figures = soak_jobs(tmp_path, 100, plan_of(9, 4, tmp_path))
    assert (figures.finished, figures.steps) == (100, 400)
    assert figures.last_handles <= figures.first_handles
    assert figures.last_mib <= 1.05 * figures.first_mib
