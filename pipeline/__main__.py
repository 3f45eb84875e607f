"""The command line: `python -m pipeline draft "a red ball moves over snow"`, and `plan`, `resume`, `models`, …

Exit codes: 0 done, 1 failed with finished parts kept, 2 bad request, 3 does not fit, 4 seams flagged,
130 stopped, finished chunks kept.
"""

import argparse
import json
import logging
import secrets
import shutil
import sys
from collections.abc import Generator
from pathlib import Path

import pipeline
from pipeline.drafts.measurements import Measurements
from pipeline.errors import DoesNotFit, DraftError, InvalidRequest, WriteFailed, say_bytes
from pipeline.events import Event, Failed, Finished, Started, Stopped
from pipeline.plan.catalog import CATALOG, find_model
from pipeline.plan.draft import DraftPlan
from pipeline.plan.request import LONGEST_SECONDS, LOWEST_PRECISIONS, GenerationRequest, Shot, frames_for
from pipeline.plan.say import changes_as_json, plan_as_json, plan_as_text, say_change
from pipeline.plan.spec import VideoShape
from pipeline.progress import show_download, show_draft

DONE, FAILED, BAD_REQUEST, DOES_NOT_FIT, FLAGGED, STOPPED = 0, 1, 2, 3, 4, 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        if options.command in OTHERS:
            return OTHERS[options.command](options)
        weights = _own_folders(options) if options.command == "draft" else {}
        decided = pipeline.plan(_request(options), options.drafts, suppose=options.command == "plan")
        if options.command == "plan":
            _say(decided, options)
            return DONE
        return _draft(decided, weights, options)
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
        if name == "draft":
            _add_weights(command)
    text = "go on with a draft that was stopped, failed or cut off"
    command = commands.add_parser("resume", help=text, description=text)
    command.add_argument("draft", nargs="?", help="its id; the newest unfinished one if not given")
    command.add_argument("--output", type=Path, help="also put the finished mp4 here")
    _add_weights(command)
    _add_folder(command)
    text = "delete a draft that nobody works on, and say how much room that made"
    command = commands.add_parser("delete", help=text, description=text)
    command.add_argument("draft", help="its id")
    _add_folder(command)
    text = "say which models are here, and what a draft with each would take"
    command = commands.add_parser("models", help=text, description=text)
    _add_weights(command)
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


def _add_weights(command: argparse.ArgumentParser) -> None:
    text = "a model's own folder, in diffusers' layout; may be repeated"
    command.add_argument("--weights", action="append", default=[], metavar="MODEL=DIR", help=text)


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


def _own_folders(options: argparse.Namespace) -> dict[str, Path]:
    from pipeline.gpu.folders import read_folders

    weights = read_folders(options.weights)
    if weights and options.model not in weights:
        said = f"The draft is made with {options.model}, and --weights names {', '.join(weights)}."
        raise InvalidRequest("weights", said, f"Add --model {next(iter(weights))}.")
    return weights


def _list_models(options: argparse.Namespace) -> int:
    from pipeline.gpu.folders import read_folders
    from pipeline.inventory import take_inventory

    entries = take_inventory(options.drafts, read_folders(options.weights))
    plain = [entry.to_json() for entry in entries]
    print(json.dumps(plain, ensure_ascii=False) if options.json else "\n\n".join(e.to_text() for e in entries))
    return DONE


def _examine(options: argparse.Namespace) -> int:
    from pipeline.doctor import examine

    report = examine(options.drafts, measure=not options.quick)
    print(json.dumps(report.to_json(), ensure_ascii=False) if options.json else report.to_text())
    return FAILED if report.problems else DONE


def _download(options: argparse.Namespace) -> int:
    try:
        folder = show_download(find_model(options.model), revision=options.revision, as_json=options.json)
    except KeyboardInterrupt:
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


def _draft(plan: DraftPlan, weights: dict[str, Path], options: argparse.Namespace) -> int:
    return _follow(pipeline.draft(plan, options.drafts, weights=weights), options)


def _resume(options: argparse.Namespace) -> int:
    from pipeline.gpu.folders import read_folders

    weights = read_folders(options.weights)
    return _follow(pipeline.resume(options.draft, options.drafts, weights=weights), options)


def _delete(options: argparse.Namespace) -> int:
    from pipeline.drafts.disposal import delete_draft

    freed = delete_draft(options.drafts, options.draft)
    print(json.dumps({"deleted": options.draft, "freed_bytes": freed}) if options.json else f"{say_bytes(freed)} freed")
    return DONE


def _follow(events: Generator[Event, None, None], options: argparse.Namespace) -> int:
    code, folder = FAILED, options.drafts
    try:
        for event in show_draft(events, as_json=options.json):
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


OTHERS = {  # commands that plan no draft of their own
    "delete": _delete,
    "doctor": _examine,
    "download": _download,
    "models": _list_models,
    "resume": _resume,
    "seams": _check_seams,
}

if __name__ == "__main__":
    sys.exit(main())
