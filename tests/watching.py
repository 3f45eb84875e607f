"""A draft as whoever watches it gets it: made by the public call, read back from its mp4."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import pipeline
from pipeline.events import Finished, Started
from pipeline.video.mp4 import read_frames


def film_of(request: pipeline.GenerationRequest, drafts: Path) -> NDArray[np.uint8]:
    """Frames [F, H, W, 3] of the finished draft that `request` asks for."""
    draft = ""
    for event in pipeline.draft(request, drafts):
        if isinstance(event, Started):
            draft = event.draft
    assert isinstance(event, Finished), event
    return np.stack(list(read_frames(drafts / draft / event.file)))
