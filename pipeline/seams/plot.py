"""The change from frame to frame as a picture, seams marked. The only file that imports matplotlib, an extra."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pipeline.errors import DraftError, InvalidRequest, WriteFailed
from pipeline.seams.check import Verdict
from pipeline.seams.trace import Trace


def check_plot(path: Path) -> None:
    """Refuse before anything is read.

    Raises:
        InvalidRequest: when `path` is no png.
        DraftError: when matplotlib is not installed.
    """
    if path.suffix.lower() != ".png":
        raise InvalidRequest("plot", f"A plot is a png, not {path.name}.", f"Nearest: {path.with_suffix('.png')}.")
    if find_spec("matplotlib") is None:
        raise DraftError("A plot is drawn by matplotlib, which is not installed.", 'pip install -e ".[plot]"')


def draw(trace: Trace, verdict: Verdict, path: Path) -> None:
    """Write the plot of a film that was judged. The line is broken at a cut, whose change is none of its scale.

    Raises:
        WriteFailed: when the disk refuses.
    """
    from matplotlib.figure import Figure  # without pyplot, which would look for a screen

    figure = Figure(figsize=(10, 3), layout="constrained")
    axes = figure.subplots()
    change = trace.change.copy()
    change[list(verdict.cuts)] = np.nan  # a hundred times what a seam changes: it would be all that there is to see
    axes.plot(range(trace.frames), change, color="0.35", linewidth=1, label="mean change from the frame before")
    passed = [finding.seam.frame for finding in verdict.findings if not finding.beyond]
    flagged = [finding.seam.frame for finding in verdict.findings if finding.beyond]
    unjudged = [seam.frame for seam in verdict.unjudged if seam.frame < trace.frames]
    for frames, label, colour, line in (
        (passed, "seam", "tab:green", "--"),
        (flagged, "flagged seam", "tab:red", "--"),
        (unjudged, "seam, not judged", "tab:blue", "--"),
        (verdict.cuts, "cut", "0.6", ":"),
    ):
        for index, frame in enumerate(frames):
            axes.axvline(frame, color=colour, linestyle=line, linewidth=1, label=label if index == 0 else None)
    axes.set(xlabel="frame", ylabel="change of luma, levels", xlim=(0, trace.frames - 1), ylim=(0, None))
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=5, frameon=False)
    try:
        figure.savefig(path, format="png", dpi=120)
    except OSError as error:
        raise WriteFailed(str(path), f"{path} cannot be written: {error.strerror or error}.") from error
