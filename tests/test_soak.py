"""The short forms of tests/bench/soak: nothing lost, doubled, half written or leaked. How fast is for the long ones."""

from pathlib import Path

import pytest

from tests.bench.soak.__main__ import plan_of
from tests.bench.soak.followers import soak_followers
from tests.bench.soak.jobs import soak_jobs
from tests.bench.soak.kills import soak_kills
from tests.bench.soak.queue import soak_queue
from tests.bench.soak.scrapes import soak_scrapes
from tests.threaded import EngineThread


@pytest.mark.fault(13, 14)
def test_killed_processes_lose_double_and_halve_nothing_and_change_no_picture(tmp_path: Path) -> None:
    figures = soak_kills(tmp_path, 2, prompts=1, life_seconds=3.0)
    assert len(figures.respawn_seconds) == 2
    assert figures.drafts >= 2
    assert (figures.lost, figures.doubled, figures.half_files, figures.different) == ([], [], [], [])


@pytest.mark.fault(13)
def test_a_restart_has_a_long_queue_again(tmp_path: Path) -> None:
    assert soak_queue(tmp_path, 30, plan_of(9, 1, tmp_path)).in_order


def test_every_follower_of_a_draft_sees_its_end(tmp_path: Path) -> None:
    figures = soak_followers(tmp_path, 8, plan_of(9, 2, tmp_path), engine=EngineThread)
    assert figures.saw_the_end == 8
    assert figures.updates >= 16


def test_whoever_reads_the_metrics_is_answered_each_time(tmp_path: Path) -> None:
    assert soak_scrapes(tmp_path, 20, plan_of(9, 1, tmp_path)).lost == 0


def test_one_engine_makes_many_drafts_and_holds_on_to_nothing(tmp_path: Path) -> None:
    figures = soak_jobs(tmp_path, 100, plan_of(9, 4, tmp_path))
    assert (figures.finished, figures.steps) == (100, 400)
    assert figures.last_handles <= figures.first_handles
    assert figures.last_mib <= 1.05 * figures.first_mib
