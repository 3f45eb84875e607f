"""The engine where a card is lent by the minute: ZeroGPU of Hugging Face's Spaces, through the `spaces` package.

The page's process has no card. A function that `spaces.GPU` decorates has one for as long as it runs, in a fork of that
process; so a draft is made a lease a chunk, each going on from what the journal holds. Stopping is the file it is
everywhere, and what a lease costs is asked from the visitor's own quota: his request is what the call is made with.

Tested with the real package, a lender on this machine and no card (tests/test_leasing.py); never run on a real Space.
"""

import contextvars
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.drafts.journal import Journal
from pipeline.errors import DraftError, WriteFailed
from pipeline.events import ENDS, ChunkDenoised, Event, Failed, SliceReady, StepDone
from pipeline.plan.catalog import CATALOG, MINIATURE
from pipeline.plan.device import Device, probe_device, suppose_card
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import Stage
from pipeline.process import Owner
from pipeline.serving import UNEXPECTED, make

if TYPE_CHECKING:
    from pipeline.engine import Engine

logger = logging.getLogger(__name__)

Lease = Callable[[Path, Mapping[str, Path], str, DraftPlan], Iterator[Event]]

CARD_GIB = 48  # of the half card that is lent as `large`
CARD_NAME = "ZeroGPU"
CARD_CAPABILITY = (12, 0)  # of an RTX PRO 6000 Blackwell, as the `spaces` package (0.51) lists it
LOADING_SECONDS = 20.0  # assumed until measured: 6 GiB from the disk of a Space to its card, and the fork
LONGEST_SECONDS = 120.0  # assumed: nowhere documented
ATTEMPTS = 2  # leases in a row that end by themselves without a step done


def lease_seconds(drafts: Path, weights: Mapping[str, Path], draft: str, plan: DraftPlan) -> float:
    """How long to borrow the card for the next chunk: the upper end of the forecast, and the loading of weights.

    Args:
        drafts: folder of all drafts.
        weights: folders of one's own, by model.
        draft: its id.
        plan: its plan.
    """
    del weights
    seconds, chunks = plan.forecast.stage_seconds, len(plan.chunks)
    read = Journal(drafts, draft).embeddings_path().exists()
    likely = (seconds[Stage.DENOISE] + seconds[Stage.DECODE]) / chunks + (0.0 if read else seconds[Stage.ENCODE])
    return min(LOADING_SECONDS + plan.forecast.band * likely, LONGEST_SECONDS)


def make_chunk(drafts: Path, weights: Mapping[str, Path], draft: str, plan: DraftPlan) -> Iterator[Event]:
    """Make the next chunk of a draft, and its film after the last one; yields what happens as it happens."""
    events = queue.SimpleQueue[Event | None]()

    def work() -> None:
        try:
            make(_engine(drafts, tuple(weights.items())), draft, plan, events.put, most_chunks=1)
        finally:
            events.put(None)

    threading.Thread(target=work, daemon=True, name="rushes-lease").start()
    while (event := events.get()) is not None:
        yield event


def borrow() -> Lease:
    """`make_chunk` with a card. Off Spaces, and on those without ZeroGPU, it is run as it is."""
    import spaces

    lease: Lease = spaces.GPU(duration=lease_seconds)(make_chunk)
    return lease


def report_start() -> None:
    """Tell the lender that this Space is up, as Gradio's `launch` would; ours is another server."""
    from spaces import zero

    zero.startup()


def probe_lender(*, use_card: bool = True, folder: Path = Path()) -> Device:
    """The card to plan for, which is not here yet; `use_card` is not asked: drafts are made on nothing else."""
    del use_card
    card = suppose_card(CARD_GIB, folder)
    return replace(card, name=CARD_NAME, compute_capability=CARD_CAPABILITY, supposed=False)


class LeasedEngine:
    """A `process.Backend` that borrows, and a `health.Watcher` that remembers in whose name.

    Args:
        drafts: folder of all drafts.
        weights: folders of one's own, by model.
        owner: who is told.
    """

    pid = None

    def __init__(self, drafts: Path, weights: Mapping[str, Path], owner: Owner) -> None:
        self._drafts, self._weights, self._owner = drafts, weights, owner
        self._lease: Lease | None = None
        self._jobs = queue.SimpleQueue[str | None]()
        self._visitors: dict[str, contextvars.Context] = {}
        self._thread = threading.Thread(target=self._live, daemon=True, name="rushes-leases")

    def start(self) -> None:
        """Load the libraries, which every fork then has."""
        self._lease = borrow()
        self._thread.start()

    def make(self, draft: str, plan: DraftPlan) -> bool:
        """Take a draft; always taken."""
        del plan  # its folder has it
        self._jobs.put(draft)
        return True

    def kill(self) -> None:
        """Nothing to end: a fork goes with this process."""

    def close(self, grace_seconds: float) -> None:
        """End after the draft it works on."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join(grace_seconds)

    def queued(self, draft: str) -> None:
        """Somebody asks for a draft: his request is what leases for it are asked with."""
        self._visitors[draft] = contextvars.copy_context()

    def told(self, draft: str, event: Event) -> None:
        """Forget whose draft it was when it is over."""
        if isinstance(event, ENDS):
            self._visitors.pop(draft, None)

    def respawned(self) -> None:
        """Never."""

    def _live(self) -> None:
        from pipeline.models import open_model

        for spec in CATALOG.values():
            if spec.family is MINIATURE.family:
                try:
                    open_model(spec.kept_in(self._weights.get(spec.key)), probe_device(use_card=False))
                except DraftError as error:  # it is not here
                    logger.info("%s", error)
        self._owner.engine_ready()
        while (draft := self._jobs.get()) is not None:
            self._visitors.get(draft, contextvars.Context()).copy().run(self._make, draft)

    def _make(self, draft: str) -> None:
        """Lease after lease until the draft is over."""
        vain = 0
        while True:
            lease = _Lent()
            try:
                plan = Journal(self._drafts, draft).read_plan()
                assert self._lease is not None
                for event in self._lease(self._drafts, self._weights, draft, plan):
                    lease.hear(event)
                    self._owner.engine_said(draft, event)
            except Exception as error:  # a quota that is used up, a lease that was too short, a fork that died
                logger.warning("a lease for draft %s ended: %s", draft, error)
                lease.refusal = error
            if lease.over:
                return
            vain = 0 if lease.worked else vain + 1
            if vain >= ATTEMPTS or (lease.refusal is not None and not lease.began):
                self._fail(draft, lease.refusal)
                return

    def _fail(self, draft: str, error: Exception | None) -> None:
        """What the lender says is for the visitor to read."""
        message = getattr(error, "message", "")
        failed = Failed(message=str(message), hint="What is finished is kept.") if message else UNEXPECTED
        journal = Journal(self._drafts, draft)
        file, frames = journal.kept_film()
        failed = replace(failed, file=file, frames=frames)
        try:
            journal.note(failed)
        except WriteFailed as refused:
            logger.warning("%s", refused)
        self._owner.engine_said(draft, failed)


@dataclass(slots=True)
class _Lent:
    """What came of one lease."""

    began: bool = False
    worked: bool = False
    over: bool = False
    refusal: Exception | None = None

    def hear(self, event: Event) -> None:
        self.began = True
        self.worked = self.worked or isinstance(event, StepDone | ChunkDenoised | SliceReady)
        self.over = isinstance(event, ENDS)


@cache
def _engine(drafts: Path, weights: tuple[tuple[str, Path], ...]) -> "Engine":
    """One for each fork, which may serve several leases."""
    from pipeline.engine import Engine

    return Engine(drafts, dict(weights), _probe_here)


def _probe_here(*, use_card: bool = True, folder: Path = Path()) -> Device:
    """The device in a lease: the card that torch has there, as it is now."""
    import torch

    if not (use_card and torch.cuda.is_available()):
        return probe_device(use_card=False, folder=folder)
    free, total = torch.cuda.mem_get_info()
    return replace(probe_lender(folder=folder), name=torch.cuda.get_device_name(), total_bytes=total, free_bytes=free)
