"""Rushes as a Space of Hugging Face's: known by the variables that are set there, and by nothing anywhere else.

On a processor it makes drafts with the miniature; on ZeroGPU with LTX-Video distilled, by leases of a card
(pipeline/leasing.py). Never tried on a real Space: what is said here of Spaces is from their documentation.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import DraftError, InvalidRequest
from pipeline.fetcher import Fetcher
from pipeline.plan.draft import DraftPlan
from pipeline.plan.request import GenerationRequest
from pipeline.studio.advice import Machine
from pipeline.studio.guard import House
from pipeline.studio.visitors import VisitorsWorker, too_long

FRAMER = "https://huggingface.co"  # whose pages show a Space in a frame
EVERYWHERE, PORT = "0.0.0.0", 7860
LONGEST_SECONDS = 8.0  # of a draft
LONGEST_WORK_SECONDS = {False: 180.0, True: 240.0}  # of making one, by the forecast; False: on a processor
LONGEST_QUEUE = 16
ZERO_MODEL, ZERO_LOOK, CPU_LOOK = "ltx-2b-distilled", "ltx-distilled", "first-light"
NO_DOWNLOADS = DraftError("This Space brings no other models.", "Run Rushes on a machine of your own for that.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The Space this is: its host name, where it listens, and whether cards are lent to it."""

    host: str
    address: str
    port: int
    zero: bool

    @property
    def look(self) -> str:
        """The settings a visitor finds."""
        return ZERO_LOOK if self.zero else CPU_LOOK

    def house(self) -> House:
        """Everybody may come, through Hugging Face's pages or the Space's own address, and nobody else frames it."""
        names = frozenset((self.host,)) if self.host else frozenset[str]()
        return House(listens=True, names=names, framer=FRAMER)

    def open_worker(self, drafts: Path, weights: Mapping[str, Path]) -> VisitorsWorker:
        """Visitors' drafts, made in a process of their own or by leases."""
        if not self.zero:
            return VisitorsWorker(drafts, weights, longest_seconds=LONGEST_SECONDS, longest_queue=LONGEST_QUEUE)
        from pipeline.leasing import LeasedEngine

        lenders: list[LeasedEngine] = []

        def lend(*arguments: Any) -> LeasedEngine:
            lenders.append(LeasedEngine(*arguments))
            return lenders[0]

        worker = VisitorsWorker(
            drafts, weights, longest_seconds=LONGEST_SECONDS, longest_queue=LONGEST_QUEUE, engine=lend
        )
        worker.watchers.extend(lenders)
        return worker

    def open_machine(self, profiles: Mapping[str, Any], drafts: Path, weights: Mapping[str, Path]) -> Machine:
        """What drafts are planned for, within what one visitor may take."""
        if not self.zero:
            return SpaceMachine(profiles, drafts, weights, most_seconds=LONGEST_WORK_SECONDS[False])
        from pipeline.leasing import probe_lender

        most = LONGEST_WORK_SECONDS[True]
        return SpaceMachine(profiles, drafts, weights, most_seconds=most, probe=probe_lender)

    def open_fetcher(self) -> Fetcher:
        """No visitor fills the disk with models."""
        return Fetcher(refusal=NO_DOWNLOADS)


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
            said = f"This draft takes about {takes:.0f} s, and this Space works {self._most_seconds:.0f} s on one at most."
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


def bring_model() -> None:
    """On ZeroGPU, before anybody comes: the model that the Space is for, where the build did not bring it.

    Raises:
        DraftError: when it cannot be had.
    """
    from pipeline.download import download
    from pipeline.plan.catalog import find_model

    download(find_model(ZERO_MODEL), lambda _: None)
