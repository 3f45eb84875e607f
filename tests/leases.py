"""A draft made by leases, in a process of its own, because `spaces` changes torch for the whole of it.

`python -m tests.leases FOLDER WHAT`: prints the draft's events by name, as JSON; WHAT is `whole` or `stop`.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pipeline
from pipeline.drafts.journal import read_events
from pipeline.leasing import LeasedEngine, report_start
from pipeline.plan.spec import VideoShape
from pipeline.worker import Worker

TOKEN = "e30.e30.e30"  # a JSON web token that says nothing


def main(drafts: Path, what: str) -> None:
    """Make a draft of four chunks on the processor."""
    import gradio as gr
    from gradio.context import LocalContext

    request = pipeline.request("a red ball moves left over snow", seconds=3.0, seed=7)
    request = replace(request, shape=VideoShape(width=128, height=96), steps=4, chunk_frames=33, profile="cpu")
    plan = pipeline.plan(request, drafts)
    worker = Worker(drafts, engine=LeasedEngine)
    worker.watchers.append(worker._engine)
    worker.start()
    report_start()
    LocalContext.request.set(gr.Request(headers={"x-ip-token": TOKEN}))
    draft = worker.submit(plan)
    LocalContext.request.set(None)
    while not (status := worker.status(draft)).state.over:
        if what == "stop" and status.chunks_done == 1 and status.step > 0:
            worker.stop(draft)
        time.sleep(0.01)
    worker.close()
    events = [row["event"] for row in read_events(drafts / draft)]
    told = {"chunks": len(plan.chunks), "state": status.state, "events": events, "said": status.message}
    sys.stdout.write(f"{json.dumps(told)}\n")


if __name__ == "__main__":
    # Without torch the package leaves that alone, as it cannot with a build for processors. All else is as on a Space.
    sys.modules["torch"] = None  # type: ignore[assignment]
    import spaces  # noqa: F401

    del sys.modules["torch"]
    main(Path(sys.argv[1]), sys.argv[2])
