"""Makes drafts, one at a time: the plan as things are now, the model it names, what is there already, and then the main
line (pipeline/making.py).
"""

import gc
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from pipeline.drafts.journal import Journal
from pipeline.drafts.measurements import Measurements
from pipeline.drafts.room import Room
from pipeline.errors import DiskFull, InvalidRequest, StopRequested, WriteFailed
from pipeline.events import Event, Started, Stopped
from pipeline.gpu.backend import keep_one_heap
from pipeline.gpu.interrupting import asking, heeding
from pipeline.making import Emit, Making
from pipeline.models import open_model
from pipeline.models.base import VideoModel
from pipeline.plan.device import Device, DeviceKind, Held, probe_device
from pipeline.plan.draft import DraftPlan
from pipeline.plan.planner import decide_again
from pipeline.plan.retreat import check_device, fit_again
from pipeline.plan.spec import ModelSpec
from pipeline.prompt.cache import EmbeddingCache
from pipeline.restoring import Restored, restore, with_same_weights


class Engine:
    """Makes drafts, one at a time.

    Args:
        drafts: folder of all drafts; embeddings are cached in `.embeddings` inside it.
        weights: folders of one's own, by model, where they are not where the catalog says.
        probe: asked for the device in `probe_device`'s place.
    """

    def __init__(
        self,
        drafts: Path,
        weights: Mapping[str, Path] | None = None,
        probe: Callable[..., Device] | None = None,
    ) -> None:
        keep_one_heap()
        self.drafts, self.cache = drafts, EmbeddingCache(drafts / ".embeddings")
        self._probe = probe
        self.weights = weights or {}
        self._model: VideoModel | None = None
        self._opened: tuple[str, str] = ("", "")

    def open(self, spec: ModelSpec, device: Device) -> VideoModel:
        """A model; the one opened before when nothing changed."""
        wanted = (spec.key, device.kind)
        if self._model is None or self._opened != wanted:
            if self._model is not None:
                self._model = None
                gc.collect()  # diffusers' hooks make its modules hold one another
            self._model = open_model(spec.kept_in(self.weights.get(spec.key)), device)
            self._opened = wanted
        return self._model

    @property
    def held(self) -> Held:
        """What it keeps of memory for the next draft."""
        return Held() if self._model is None else self._model.held()

    def run(self, plan: DraftPlan, draft: str, emit: Emit, *, most_chunks: int | None = None) -> None:
        """Make a draft; planned again where memory has shrunk since it was planned. Ends with Finished or Stopped, but
        after `most_chunks` chunks with neither, for another run to go on.

        What its folder already holds of it is not made again: the draft goes on from there, and its latents are those
        of never having stopped. Where the disk is full it waits for room, and says so.

        Raises:
            InvalidRequest: when somebody else works on this draft.
            DraftError: with finished slices kept on disk.
        """
        with Journal(self.drafts, draft).claim():
            self._run(plan, draft, emit, most_chunks)

    def _run(self, plan: DraftPlan, draft: str, emit: Emit, most_chunks: int | None) -> None:
        journal = Journal(self.drafts, draft)
        journal.sweep()
        restored = restore(journal, plan, plan.sentences)
        plan = self._as_things_are_now(plan, chunks_done=len(restored.latents), slices_done=len(restored.slices))
        room = Room(journal, plan.memory.disk_bytes, emit)

        def tell(event: Event) -> None:
            if isinstance(event, Stopped):
                with suppress(DiskFull):  # nobody is kept from stopping for want of a line's room
                    journal.note(event)
            else:
                room.write(partial(journal.note, event))
            emit(event)

        with heeding(partial(_check, journal)):
            self._make(plan, journal, room, restored, tell, most_chunks)

    def _make(
        self, plan: DraftPlan, journal: Journal, room: Room, restored: Restored, tell: Emit, most_chunks: int | None
    ) -> None:
        try:
            room.write(partial(journal.begin, plan))
            room.wait()
            tell(Started(draft=journal.draft, plan=plan))
            with asking():
                model = self.open(plan.spec, plan.memory.device)
                identity = model.identity()
                restored = with_same_weights(journal, restored, identity, plan.spec.title)
                model.follow(plan.memory.choices)
            room.write(partial(journal.write_json, "weights.json", {"identity": identity}))
        except StopRequested:
            file, frames = journal.kept_film()
            tell(Stopped(file=file, frames=frames, chunks=len(restored.latents), seconds=0.0))
            return
        making, sentences = Making(plan, model, journal, tell, room), plan.sentences
        try:
            making.take_up(restored)
            making.encode(sentences, self.cache)
            making.decode()
            while making.chunks < len(making.plan.chunks):
                if making.chunks - len(restored.latents) == most_chunks:
                    return
                making.make_chunk()
            making.finish()
            Measurements(self.drafts).record_ran_out(making.plan, making.too_much_bytes)
            # Otherwise it took another time than what was planned does.
            anew = not restored.latents and not making.resumed
            if making.plan is plan and anew and not room.waited:
                Measurements(self.drafts).record_draft(plan, making.stage_seconds, encoded=making.encoded)
        except StopRequested:
            making.keep()
        except (WriteFailed, OSError):
            raise  # nothing more can be written, or nobody listens
        except Exception:
            making.reel.leave(making.plan)
            raise

    def _as_things_are_now(self, plan: DraftPlan, *, chunks_done: int, slices_done: int) -> DraftPlan:
        """The plan, or another where it no longer fits; one with the same chunks where some are made.

        Raises DraftError for what cannot be carried out here.
        """
        if plan.memory.device.supposed:
            raise InvalidRequest(
                "vram_limit", f"There is no such card here: {plan.memory.device.name}.", "It can be planned."
            )
        device = (self._probe or probe_device)(use_card=plan.memory.device.kind is not DeviceKind.CPU)
        device = device.without(self.held)
        # What an edit decided is in the plan alone, and lost if planned from the request.
        if chunks_done or plan.parent:
            check_device(plan, device)
            return fit_again(plan, device, chunks_done=chunks_done, slices_done=slices_done)
        if device.kind is not plan.memory.device.kind:
            return plan
        return decide_again(plan, device, Measurements(self.drafts).experience(plan.request, device))


def _check(journal: Journal) -> None:
    if journal.stop_requested():
        raise StopRequested
