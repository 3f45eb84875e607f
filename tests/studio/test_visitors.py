"""On a Space nobody sees, stops or deletes what is not theirs; what is old goes. With a worker whose engine rests."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio as gr
import pytest
from gradio.context import LocalContext

from pipeline.drafts.finding import find_drafts
from pipeline.errors import DraftError, InvalidRequest
from pipeline.plan.edits import Extend
from pipeline.studio import visitors
from pipeline.studio.visitors import COOKIE, MOST_WAITING, VisitorsWorker
from tests.conftest import PlanMaker

ADA, BOB = "ada-0123456789abcdefghij", "bob-0123456789abcdefghij"
Becoming = Callable[[str | None], None]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[VisitorsWorker]:
    """Its process is never started, so drafts wait."""
    worker = VisitorsWorker(tmp_path / "drafts", {}, longest_seconds=8.0)
    yield worker
    worker.close()


@pytest.fixture
def become() -> Iterator[Becoming]:
    """Answer another visitor from now on."""

    def become(key: str | None) -> None:
        headers = {} if key is None else {"cookie": f"{COOKIE}={key}"}
        LocalContext.request.set(gr.Request(headers=headers))

    yield become
    LocalContext.request.set(None)


def test_each_visitor_sees_his_own_drafts(worker: VisitorsWorker, become: Becoming, make_plan: PlanMaker) -> None:
    become(ADA)
    hers = worker.submit(make_plan())
    become(BOB)
    his = worker.submit(make_plan())
    assert [status.draft for status in worker.recent(9)] == [his]
    assert worker.waiting() == [his]
    assert worker.status(hers) is None
    become(ADA)
    assert [status.draft for status in worker.recent(9)] == [hers]
    become(None)
    assert worker.recent(9) == []
    assert worker.status(hers) is None


def test_nobody_changes_what_is_not_his(worker: VisitorsWorker, become: Becoming, make_plan: PlanMaker) -> None:
    become(ADA)
    hers = worker.submit(make_plan())
    become(BOB)
    for change in (worker.stop, worker.pause, worker.resume, worker.delete):
        with pytest.raises(InvalidRequest, match="There is no such draft"):
            change(hers)
    with pytest.raises(InvalidRequest, match="There is no such draft"):
        worker.edit(hers, Extend(seconds=1.0))
    become(ADA)
    worker.stop(hers)
    assert worker.delete(hers) > 0


def test_a_draft_without_a_visitor_belongs_to_whoever_knows_its_id(
    worker: VisitorsWorker, become: Becoming, make_plan: PlanMaker
) -> None:
    become(None)
    draft = worker.submit(make_plan())
    become(BOB)
    assert worker.status(draft)
    assert worker.recent(9) == []
    worker.stop(draft)


def test_the_same_key_of_two_visitors_is_two_drafts(
    worker: VisitorsWorker, become: Becoming, make_plan: PlanMaker
) -> None:
    become(ADA)
    hers = worker.submit(make_plan(), "take 1")
    assert worker.submit(make_plan(), "take 1") == hers
    become(BOB)
    assert worker.submit(make_plan(), "take 1") != hers


def test_without_a_cookie_no_key_finds_what_a_stranger_made(
    worker: VisitorsWorker, become: Becoming, make_plan: PlanMaker
) -> None:
    become(None)
    with pytest.raises(InvalidRequest, match="Without a cookie"):
        worker.submit(make_plan(), "take 1")


def test_what_is_over_is_gone_on_with_as_far_as_another_would_be_taken(
    worker: VisitorsWorker, become: Becoming, make_plan: PlanMaker
) -> None:
    become(ADA)
    first = worker.submit(make_plan())
    worker.stop(first)
    waiting = [worker.submit(make_plan()) for _ in range(MOST_WAITING)]
    with pytest.raises(DraftError, match="not finished yet"):
        worker.resume(first)
    worker.pause(waiting[0])
    worker.resume(waiting[0])  # it is one of the four already
    worker.stop(waiting[0])
    worker.resume(first)


def test_one_visitor_does_not_fill_the_queue(worker: VisitorsWorker, become: Becoming, make_plan: PlanMaker) -> None:
    become(ADA)
    for _ in range(MOST_WAITING):
        worker.submit(make_plan())
    with pytest.raises(DraftError, match="not finished yet"):
        worker.submit(make_plan())
    become(BOB)
    assert worker.submit(make_plan())


def test_a_draft_is_extended_up_to_the_length_of_others(
    worker: VisitorsWorker, become: Becoming, make_plan: PlanMaker
) -> None:
    become(ADA)
    draft = worker.submit(make_plan(frames=97))
    worker.stop(draft)
    with pytest.raises(InvalidRequest, match=r"9\.0 seconds are too long"):
        worker.edit(draft, Extend(seconds=5.0))


def test_old_drafts_go_and_of_too_many_the_oldest(
    worker: VisitorsWorker, become: Becoming, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    become(ADA)
    first = worker.submit(make_plan())
    worker.stop(first)
    long_ago = time.time() - visitors.RETENTION_HOURS * 3600 - 60
    paused = worker.submit(make_plan())
    worker.pause(paused)
    fresh = worker.submit(make_plan())
    worker.stop(fresh)
    late = worker.submit(make_plan())
    worker.stop(late)
    for draft in (first, paused, late):
        os.utime(worker.drafts / draft, (long_ago, long_ago))
    second = worker.submit(make_plan())
    assert [worker.status(draft) for draft in (first, paused, late)] == [None] * 3
    assert worker.status(fresh)
    worker.delete(fresh)
    worker.stop(second)
    worker.clear()
    assert worker.status(second)
    monkeypatch.setattr(visitors, "KEPT_BYTES", 1)
    third = worker.submit(make_plan())
    assert worker.status(second) is None
    worker.clear()
    assert worker.status(third)  # it waits


def test_visitors_who_ask_at_once_do_not_hinder_one_another_by_clearing(
    worker: VisitorsWorker, become: Becoming, make_plan: PlanMaker
) -> None:
    become(ADA)
    long_ago = time.time() - visitors.RETENTION_HOURS * 3600 - 60
    for _ in range(60):
        draft = worker.submit(make_plan())
        worker.stop(draft)
        os.utime(worker.drafts / draft, (long_ago, long_ago))
        (worker.drafts / draft).rename(worker.drafts / f"{draft[:-4]}{_:04x}")
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(worker.clear) for _ in range(4)]:
            done.result()
    assert not find_drafts(worker.drafts)


def test_the_key_is_not_kept_but_a_hash_of_it(worker: VisitorsWorker, become: Becoming, make_plan: PlanMaker) -> None:
    become(ADA)
    draft = worker.submit(make_plan())
    kept = [path.read_bytes() for path in (worker.drafts / draft).iterdir() if path.is_file()]
    assert not [content for content in kept if ADA.encode() in content]
    assert (worker.drafts / draft / visitors.OWNER).stat().st_size == 64
