"""An encoder slower than the device holds the device up, and pictures do not pile up in front of it."""

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline import reel
from pipeline.engine import Engine
from pipeline.events import Event, SliceReady
from tests.conftest import PlanMaker


@pytest.mark.fault(24)
@pytest.mark.usefixtures("tiny")
def test_pictures_wait_for_the_encoder_one_slice_at_a_time(
    tmp_path: Path, make_plan: PlanMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, given, alive = reel.write_slice, [], []

    def watched(frames: NDArray[np.uint8], path: Path, **options: Any) -> None:
        gc.collect()
        alive.append(sum(slice_() is not None for slice_ in given))
        given.append(weakref.ref(frames if frames.base is None else frames.base))
        write(frames, path, **options)

    monkeypatch.setattr(reel, "write_slice", watched)
    events: list[Event] = []
    Engine(tmp_path).run(make_plan(frames=97, chunk_frames=25), "20260101-120000-0123456789abcdef", events.append)
    assert len([event for event in events if isinstance(event, SliceReady)]) == len(given) >= 4
    assert max(alive) <= 1  # the end of the one before, which fades into this one
