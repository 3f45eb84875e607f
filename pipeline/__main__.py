"""The command line: `python -m pipeline draft "a red ball moves over snow"`, and `plan`, `resume`, `doctor`, …

Exit codes: 0 done, 1 failed with finished parts kept, 2 bad request, 3 does not fit, 4 seams flagged,
130 stopped, finished chunks kept.
"""

import argparse
import json
import logging
import secrets
import shutil
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pipeline
from pipeline.drafts.measurements import Measurements
from pipeline.errors import DoesNotFit, DraftError, InvalidRequest, WriteFailed
from pipeline.events import (
    Encoded,
    Event,
    Failed,
    Finished,
    Retreated,
    SliceReady,
    Started,
    StepDone,
    Stopped,
)
from pipeline.plan.catalog import CATALOG, find_model
from pipeline.plan.draft import DraftPlan
from pipeline.plan.request import LONGEST_SECONDS, LOWEST_PRECISIONS, GenerationRequest, Shot, frames_for
from pipeline.plan.say import changes_as_json, plan_as_json, plan_as_text, say_change
from pipeline.plan.spec import VideoShape

DONE, FAILED, BAD_REQUEST, DOES_NOT_FIT, FLAGGED, STOPPED = 0, 1, 2, 3, 4, 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        if options.command == "doctor":
            return _examine(options)
        if options.command == "download":
            return _download(options)
        if options.command == "resume":
            return _resume(options)
        if options.command == "seams":
            return _check_seams(options)
        decided = pipeline.plan(_request(options), options.drafts, suppose=options.command == "plan")
        if options.command == "plan":
            _say(decided, options)
            return DONE
        return _draft(decided, options)
    except DraftError as error:
        _complain(error, as_json=options.json)
        if isinstance(error, InvalidRequest):
            return BAD_REQUEST
        return DOES_NOT_FIT if isinstance(error, DoesNotFit) else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline", description="Text-to-video drafts, chunk by chunk.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("draft", "make a draft"), ("plan", "say what a draft would need, and why; makes nothing")):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("prompt", help="one sentence: what happens")
        command.add_argument("--model", default="miniature", help=f"one of {', '.join(CATALOG)}")
        length = command.add_mutually_exclusive_group()
        length.add_argument("--seconds", type=float, help="length; the nearest legal frame count is made")
        length.add_argument("--frames", type=int, help="exact length in frames")
        command.add_argument("--width", type=int)
        command.add_argument("--height", type=int)
        command.add_argument("--steps", type=int, help="denoising steps a chunk")
        command.add_argument("--guidance", type=float, help="how literally the sentence is taken; 1 is off")
        command.add_argument("--negative-prompt", default="", help="what should not be seen")
        command.add_argument("--seed", type=int, help="the same seed makes the same draft; drawn if not given")
        command.add_argument("--profile", default="auto", help="a file in presets/vram without .toml")
        command.add_argument("--chunk-frames", type=int, help="longest chunk")
        command.add_argument("--overlap-frames", type=int, help="frames a chunk takes over from the one before")
        command.add_argument("--vram-limit", type=float, metavar="GIB", help="use at most so much of the card")
        command.add_argument("--ram-limit", type=float, metavar="GIB", help="use at most so much main memory")
        command.add_argument(
            "--lowest-precision", default="int8", help=f"how coarse weights may become: {', '.join(LOWEST_PRECISIONS)}"
        )
        command.add_argument("--decode-float32", action="store_true", help="decode in float32: twice the memory")
        _add_folder(command)
        command.add_argument("--output", type=Path, help="also put the finished mp4 here")
    text = "go on with a draft that was stopped, failed or cut off"
    command = commands.add_parser("resume", help=text, description=text)
    command.add_argument("draft", nargs="?", help="its id; the newest unfinished one if not given")
    command.add_argument("--output", type=Path, help="also put the finished mp4 here")
    _add_folder(command)
    text = "say what this machine is, how fast it is, and what fits on it"
    command = commands.add_parser("doctor", help=text, description=text)
    command.add_argument("--quick", action="store_true", help="measure nothing")
    _add_folder(command)
    text = "bring a model's weights into Hugging Face's cache; interrupted, it goes on the next time"
    command = commands.add_parser("download", help=text, description=text)
    command.add_argument("model", metavar="MODEL", help=f"one of {', '.join(CATALOG)}")
    command.add_argument("--revision", metavar="COMMIT", help="use this one from now on")
    _add_json(command)
    text = "say whether the joins between a film's chunks can be seen"
    command = commands.add_parser("seams", help=text, description=text)
    command.add_argument("film", metavar="FILE|DRAFT", help="an mp4, or the id of a draft")
    command.add_argument(
        "--at", metavar="FRAME", type=int, nargs="+", default=[], help="first frames of chunks, from 0"
    )
    command.add_argument("--faded", metavar="FRAMES", type=int, default=0, help="frames faded before each of them")
    command.add_argument("--against", metavar="FILE|DRAFT", help="the same in one chunk, to judge drift by")
    command.add_argument("--plot", metavar="FILE.png", type=Path, help="draw the change from frame to frame")
    _add_folder(command)
    return parser


def _add_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument("--drafts", type=Path, default=Path("drafts"), help="folder of all drafts")
    _add_json(command)


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="for machines: one JSON value, or one a line")


def _request(options: argparse.Namespace) -> GenerationRequest:
    spec = find_model(options.model)
    seconds = spec.default_seconds if options.seconds is None else options.seconds
    frames = frames_for(spec, seconds) if options.frames is None else options.frames
    shape = spec.shapes[0]
    return GenerationRequest(
        shots=(Shot(prompt=options.prompt, seconds=min(max(frames, 1) / spec.fps, LONGEST_SECONDS)),),
        model=options.model,
        shape=VideoShape(
            width=shape.width if options.width is None else options.width,
            height=shape.height if options.height is None else options.height,
        ),
        frames=frames,
        steps=spec.default_steps if options.steps is None else options.steps,
        guidance=spec.default_guidance if options.guidance is None else options.guidance,
        seed=secrets.randbelow(2**32) if options.seed is None else options.seed,
        profile=options.profile,
        negative_prompt=options.negative_prompt,
        chunk_frames=options.chunk_frames,
        overlap_frames=options.overlap_frames,
        vram_limit_gib=options.vram_limit,
        ram_limit_gib=options.ram_limit,
        decode_float32=options.decode_float32,
        lowest_precision=options.lowest_precision,
    )


def _say(plan: DraftPlan, options: argparse.Namespace) -> None:
    experience = Measurements(options.drafts).experience(plan.request, plan.memory.device)
    if options.json:
        print(json.dumps(plan_as_json(plan, experience), ensure_ascii=False))
    else:
        print(plan_as_text(plan, experience))


def _examine(options: argparse.Namespace) -> int:
    from pipeline.doctor import examine

    report = examine(options.drafts, measure=not options.quick)
    print(json.dumps(report.to_json(), ensure_ascii=False) if options.json else report.to_text())
    return FAILED if report.problems else DONE


def _download(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from pipeline.download import DownloadEvent, DownloadFinished, DownloadProgress, DownloadStarted, download

    spec = find_model(options.model)
    new_bar = partial(tqdm, unit="B", unit_scale=True, file=sys.stderr, dynamic_ncols=True)
    with ExitStack() as stack:
        bar = tqdm(disable=True)

        def show(event: DownloadEvent) -> None:
            nonlocal bar
            if options.json:
                print(json.dumps({"event": type(event).__name__} | asdict(event), ensure_ascii=False), flush=True)
                return
            match event:
                case DownloadStarted(title=title, licence=licence, done_bytes=done, total_bytes=total):
                    print(f"{title}, licence: {licence}", file=sys.stderr)
                    bar = stack.enter_context(new_bar(total=total, initial=done))
                case DownloadProgress():
                    bar.set_description(event.file, refresh=False)
                    bar.update(event.done_bytes - bar.n)
                case DownloadFinished(received_bytes=0):
                    said = f"{spec.title} is here already" if spec.repository else f"{spec.title} ships with Rushes"
                    print(f"{said}; there is nothing to download.", file=sys.stderr)

        try:
            folder = download(spec, show, revision=options.revision)
        except KeyboardInterrupt:
            bar.close()
            print("Stopped; what came is kept, and the same command goes on from there.", file=sys.stderr)
            return STOPPED
    if not options.json:
        print(folder)
    return DONE


def _check_seams(options: argparse.Namespace) -> int:
    from pipeline.seams.check import judge, trace_film
    from pipeline.seams.film import find_film, find_unchunked
    from pipeline.seams.plot import check_plot, draw
    from pipeline.seams.report import verdict_as_json, verdict_as_text

    if options.plot:
        check_plot(options.plot)
    film = find_film(options.film, options.drafts, at=options.at, faded_frames=options.faded)
    unchunked = None if options.against is None else find_unchunked(options.against, options.drafts)
    trace = trace_film(film)
    verdict = judge(trace, film.seams or (), None if unchunked is None else trace_film(unchunked))
    if options.plot:
        draw(trace, verdict, options.plot)
    as_json = json.dumps(verdict_as_json(film, verdict), ensure_ascii=False) if options.json else ""
    print(as_json or verdict_as_text(film, verdict))
    return DONE if verdict.passed else FLAGGED


def _complain(error: DraftError, *, as_json: bool) -> None:
    if as_json:
        field = {"field": error.field} if isinstance(error, InvalidRequest) else {}
        changes = {"changes": changes_as_json(error.changes)} if isinstance(error, DoesNotFit) else {}
        print(json.dumps({"error": error.message, "hint": error.hint} | field | changes, ensure_ascii=False))
    print(f"{error}", file=sys.stderr)
    if isinstance(error, DoesNotFit):
        for change in error.changes[1:]:
            print(f"Or: {say_change(change)}.", file=sys.stderr)


def _draft(plan: DraftPlan, options: argparse.Namespace) -> int:
    return _follow(pipeline.draft(plan, options.drafts), options)


def _resume(options: argparse.Namespace) -> int:
    return _follow(pipeline.resume(options.draft, options.drafts), options)


def _follow(events: Generator[Event, None, None], options: argparse.Namespace) -> int:
    code, folder = FAILED, options.drafts
    try:
        for event in _shown(events, as_json=options.json):
            match event:
                case Started():
                    folder = options.drafts / event.draft
                case Finished():
                    code = DONE
                    _report(folder / event.file, options)
                case Stopped():  # by somebody else, through the STOP file
                    code = STOPPED
                    if event.file:
                        _report(folder / event.file, options)
                case Failed():
                    print(f"{event.message} {event.hint}".strip(), file=sys.stderr)
    except KeyboardInterrupt:
        code = STOPPED
        events.close()  # asks the engine to stop and waits for it to keep what is finished
        kept = folder / "draft.mp4"
        if kept.exists():
            _report(kept, options)
    return code


def _report(video: Path, options: argparse.Namespace) -> None:
    if options.output:
        try:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(video, options.output)
        except OSError as error:
            raise WriteFailed(
                str(options.output), f"{options.output} cannot be written: {error.strerror}.", f"The draft is {video}."
            ) from error
    if not options.json:
        print(options.output or video)


def _shown(events: Iterator[Event], *, as_json: bool) -> Iterator[Event]:
    """Pass events on, showing each: a progress bar, or a JSON line."""
    from tqdm import tqdm

    plan: DraftPlan | None = None
    with tqdm(unit="step", disable=as_json, file=sys.stderr, dynamic_ncols=True) as bar:
        for event in events:
            if as_json:
                print(json.dumps(_plain(event), ensure_ascii=False), flush=True)
            match event:
                case Retreated():
                    print(event.reason, file=sys.stderr)
                case Encoded():
                    bar.set_description("sentence known" if event.cached == event.sentences else "sentence read")
                case StepDone() if plan:
                    bar.set_description(f"chunk {event.chunk + 1} of {len(plan.chunks)}", refresh=False)
                    bar.n = plan.steps_before(event.chunk) + event.step - 1
                    bar.update()
                case SliceReady() if plan:
                    ready = (event.first_frame + event.frames) / plan.spec.fps
                    bar.set_postfix_str(f"{ready:.1f} of {plan.request.seconds:.1f} s can be played")
                case Started():
                    plan = event.plan
                    bar.total = plan.steps_before(len(plan.chunks))
                case _:
                    pass
            yield event


def _plain(event: Event) -> dict[str, object]:
    if isinstance(event, Started):
        return {"event": "Started", "draft": event.draft}
    values = asdict(event)
    values.pop("preview", None)
    return {"event": type(event).__name__} | values


if __name__ == "__main__":
    sys.exit(main())
