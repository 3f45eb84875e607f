"""Rushes as a Space of Hugging Face's: known by the variables that are set there, and by nothing anywhere else.

On a processor it makes drafts with the miniature; on ZeroGPU with LTX-Video distilled, by leases of a card
(pipeline/leasing.py). Never tried on a real Space: what is said here of Spaces is from their documentation.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.download import download
from pipeline.errors import DraftError, InvalidRequest
from pipeline.fetcher import Fetcher
from pipeline.plan.catalog import MINIATURE, find_model
from pipeline.plan.device import Device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.presets import Look, load_profiles
from pipeline.plan.request import GenerationRequest
from pipeline.studio.advice import Machine
from pipeline.studio.guard import House
from pipeline.studio.visitors import VisitorsWorker, too_long
from pipeline.worker import Worker

if TYPE_CHECKING:
    from pipeline.studio.desk import Studio

FRAMER = "https://huggingface.co"  # whose pages show a Space in a frame
EVERYWHERE, PORT = "0.0.0.0", 7860
LONGEST_SECONDS = 8.0  # of a draft
MOST_WORK_SECONDS = {False: 180.0, True: 240.0}  # of making one, by the forecast, on a processor and on ZeroGPU
LONGEST_QUEUE = 16
ZERO_MODEL = "ltx-2b-distilled"
NO_DOWNLOADS = DraftError("This Space brings no other models.", "Run Rushes on a machine of your own for that.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The Space this is: its host name, where it listens, and whether cards are lent to it."""

    host: str
    address: str
    port: int
    zero: bool

    def house(self) -> House:
        """Everybody may come, through Hugging Face's pages or the Space's own address, and nobody else frames it."""
        names = frozenset((self.host,)) if self.host else frozenset[str]()
        return House(listens=True, names=names, framer=FRAMER)

    def open_worker(self, drafts: Path, weights: Mapping[str, Path]) -> VisitorsWorker:
        """Visitors' drafts, made in a process of their own or by leases. Raises DraftError, too, where the model of the
        Space cannot be had."""
        if not self.zero:
            return VisitorsWorker(drafts, weights, longest_seconds=LONGEST_SECONDS, longest_queue=LONGEST_QUEUE)
        from pipeline.leasing import LeasedEngine

        download(find_model(ZERO_MODEL), lambda _: None)  # before anybody comes; nothing where the build brought it
        lenders: list[LeasedEngine] = []

        def lend(*arguments: Any) -> LeasedEngine:
            lenders.append(LeasedEngine(*arguments))
            return lenders[0]

        worker = VisitorsWorker(
            drafts, weights, longest_seconds=LONGEST_SECONDS, longest_queue=LONGEST_QUEUE, engine=lend
        )
        worker.watchers.extend(lenders)
        return worker

    def open_studio(self, worker: Worker, weights: Mapping[str, Path], look: Look) -> "Studio":
        """What drafts are planned for, within what one visitor may take; no visitor fills the disk with models."""
        from pipeline.studio.desk import Studio  # imports Gradio, which the worker's process is started before

        probe: Callable[..., Device] = worker.holdings.probe
        if self.zero:
            from pipeline.leasing import probe_lender, report_start

            report_start()
            probe = probe_lender
        most = MOST_WORK_SECONDS[self.zero]
        machine = SpaceMachine(load_profiles(), worker.drafts, weights, most_seconds=most, probe=probe)
        model = find_model(ZERO_MODEL) if self.zero else MINIATURE
        return Studio(worker=worker, machine=machine, look=look, fetcher=Fetcher(refusal=NO_DOWNLOADS), model=model)


class SpaceMachine(Machine):
    """A machine that many share: drafts are short, and take no longer than others will wait."""

    def __init__(
        self,
        profiles: Mapping[str, Any],
        drafts: Path,
        weights: Mapping[str, Path],
        *,
        most_seconds: float,
        **how: Any,
    ) -> None:
        super().__init__(profiles, drafts, weights, **how)
        self._most_seconds = most_seconds

    def plan(self, request: GenerationRequest) -> DraftPlan:
        """As a machine does. Raises InvalidRequest, too, for what is longer, or takes longer, than is made here."""
        if request.seconds > LONGEST_SECONDS + 0.5:  # frames lie on a grid
            raise too_long(request.seconds, LONGEST_SECONDS)
        plan = super().plan(request)
        takes = plan.forecast.total_seconds
        if takes > self._most_seconds:
            said = (
                f"This draft takes about {takes:.0f} s, and this Space works {self._most_seconds:.0f} s on one at most."
            )
            raise InvalidRequest("steps", said, "Choose fewer steps, a smaller picture or a shorter draft.")
        return plan


def find_space(environment: Mapping[str, str] | None = None) -> Space | None:
    """The Space this runs on; None where it is none."""
    known = os.environ if environment is None else environment
    if not known.get("SPACE_ID"):
        return None
    port = known.get("GRADIO_SERVER_PORT", "")
    return Space(
        host=known.get("SPACE_HOST", "").lower(),
        address=known.get("GRADIO_SERVER_NAME") or EVERYWHERE,
        port=int(port) if port.isdigit() else PORT,
        zero=known.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true"),  # as the `spaces` package reads it
    )
