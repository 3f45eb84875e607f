"""What is known of every draft, by its id: in memory while something may happen to it, else from its folder."""

from pathlib import Path

from pipeline.drafts.finding import TAKE
from pipeline.drafts.journal import ID_PATTERN, Journal, read_json
from pipeline.drafts.status import DraftRecord, DraftState, read_record
from pipeline.plan.catalog import CATALOG
from pipeline.plan.draft import DraftPlan

KEPT_RECORDS = 100  # of drafts that are over, in memory; older ones are read from their folders again


class Register:
    """Records of drafts.

    Args:
        drafts: folder of all drafts.
        keep: keep them in memory; not where another process makes the drafts and only their folders tell.
    """

    def __init__(self, drafts: Path, *, keep: bool) -> None:
        self._drafts, self._keep = drafts, keep
        self._records: dict[str, DraftRecord] = {}

    def add(self, draft: str, plan: DraftPlan) -> None:
        """A new draft."""
        spec = plan.spec
        self._records[draft] = DraftRecord(draft=draft, plan=plan.to_json(), fps=spec.fps, stride=spec.frame_stride)

    def find(self, draft: str, *, cared_for: bool) -> DraftRecord | None:
        """A draft's record; None when there is no such draft.

        Args:
            draft: anything; what is no id names no draft.
            cared_for: somebody makes it, or will. Otherwise one that is not over was cut off, or another process makes
                it, and its folder is read every time; one that rests is, too, where more was noted there since.
        """
        before = self._records.get(draft)
        if not ID_PATTERN.fullmatch(draft) or (before and (cared_for or not self._went_on(before))):
            return before
        journal = Journal(self._drafts, draft)
        request = read_json(journal.path("request.json"))
        spec = CATALOG.get(str((request or {}).get("model")))
        if spec is None:
            return None
        record = read_record(journal, fps=spec.fps, stride=spec.frame_stride, cared_for=cared_for or not self._keep)
        if record is not None and before is not None:
            del self._records[draft]
            record.version += before.version  # whoever saw the one is to see the other
        if record is not None and self._keep and not record.elsewhere:
            self._records[draft] = record
        return record

    def _went_on(self, record: DraftRecord) -> bool:
        """Whether something was noted of a draft that rests since this was asked for the first time."""
        if record.state not in (DraftState.PAUSED, DraftState.STOPPED, DraftState.FAILED):
            return False
        try:
            noted_bytes = Journal(self._drafts, record.draft).path("events.jsonl").stat().st_size
        except OSError:
            return False
        known_bytes, record.noted_bytes = record.noted_bytes, noted_bytes
        return known_bytes not in (0, noted_bytes)

    def hold(self, record: DraftRecord) -> None:
        """What happens to a draft is told here from now on."""
        record.elsewhere, record.noted_bytes, self._records[record.draft] = False, 0, record

    def find_again(self, draft: str) -> DraftRecord:
        """From disk, where there may be more than a process that was killed could say; not over, it waits to go on."""
        before = self._records.pop(draft)
        record = self._records[draft] = self.find(draft, cared_for=True) or before
        if not record.state.over:
            record.mark_queued()
        record.version = before.version + 1
        return record

    def forget(self, draft: str) -> None:
        """One whose folder is gone."""
        self._records.pop(draft, None)

    def forget_old(self) -> None:
        """Keep in memory what is not over, and the last `KEPT_RECORDS` of what is."""
        over = [draft for draft, record in self._records.items() if record.state.over]
        for draft in over[:-KEPT_RECORDS]:
            del self._records[draft]

    def states(self) -> list[DraftState]:
        """Of the drafts in memory; also for whoever asks while another thread changes them."""
        return [record.state for record in self._records.copy().values()]

    def newest(self, limit: int) -> list[str]:
        """Ids of the newest drafts but takes, newest first."""
        folders = (folder for folder in self._drafts.iterdir() if ID_PATTERN.fullmatch(folder.name))
        return sorted((folder.name for folder in folders if not (folder / TAKE).exists()), reverse=True)[:limit]
