"""`plan`, `draft` and `resume`: what a draft would take, making it, going on with it."""

import argparse
import json
import secrets
import shutil
import sys
from collections.abc import Generator
from pathlib import Path

import pipeline
from pipeline.commands.options import DONE, FAILED, STOPPED, Commands, add_command, add_folder, add_weights
from pipeline.commands.progress import show_draft
from pipeline.drafts.measurements import Measurements
from pipeline.errors import InvalidRequest, WriteFailed
from pipeline.events import Event, Failed, Finished, Started, Stopped
from pipeline.plan.catalog import CATALOG, find_model
from pipeline.plan.request import LONGEST_SECONDS, LOWEST_PRECISIONS, GenerationRequest, Shot, frames_for
from pipeline.plan.say import plan_as_json, plan_as_text
from pipeline.plan.spec import Tail, VideoShape


def add(commands: Commands) -> None:
    """The three commands."""
    command = add_command(commands, "draft", "make a draft")
    _add_request(command)
    add_weights(command)
    command.set_defaults(run=_draft)
    command = add_command(commands, "plan", "say what a draft would need, and why; makes nothing")
    _add_request(command)
    command.set_defaults(run=_plan)
    command = add_command(commands, "resume", "go on with a draft that was stopped, failed or cut off")
    command.add_argument("draft", nargs="?", help="its id; the newest unfinished one if not given")
    command.add_argument("--output", type=Path, help="also put the finished mp4 here")
    add_weights(command)
    add_folder(command)
    command.set_defaults(run=_resume)


def _add_request(command: argparse.ArgumentParser) -> None:
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
    command.add_argument("--tail", help=f"how a chunk goes on from the one before: {', '.join(Tail)}")
    command.add_argument("--vram-limit", type=float, metavar="GIB", help="use at most so much of the card")
    command.add_argument("--ram-limit", type=float, metavar="GIB", help="use at most so much main memory")
    command.add_argument(
        "--lowest-precision", default="int8", help=f"how coarse weights may become: {', '.join(LOWEST_PRECISIONS)}"
    )
    command.add_argument("--decode-float32", action="store_true", help="decode in float32: twice the memory")
    add_folder(command)
    command.add_argument("--output", type=Path, help="also put the finished mp4 here")


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
        tail=options.tail,
        vram_limit_gib=options.vram_limit,
        ram_limit_gib=options.ram_limit,
        decode_float32=options.decode_float32,
        lowest_precision=options.lowest_precision,
    )


def _plan(options: argparse.Namespace) -> int:
    plan = pipeline.plan(_request(options), options.drafts, suppose=True)
    experience = Measurements(options.drafts).experience(plan.request, plan.memory.device)
    if options.json:
        print(json.dumps(plan_as_json(plan, experience), ensure_ascii=False))
    else:
        print(plan_as_text(plan, experience))
    return DONE


def _draft(options: argparse.Namespace) -> int:
    weights = _own_folders(options)
    plan = pipeline.plan(_request(options), options.drafts)
    return _follow(pipeline.draft(plan, options.drafts, weights=weights), options)


def _own_folders(options: argparse.Namespace) -> dict[str, Path]:
    from pipeline.gpu.folders import read_folders

    weights = read_folders(options.weights)
    if weights and options.model not in weights:
        said = f"The draft is made with {options.model}, and --weights names {', '.join(weights)}."
        raise InvalidRequest("weights", said, f"Add --model {next(iter(weights))}.")
    return weights


def _resume(options: argparse.Namespace) -> int:
    from pipeline.gpu.folders import read_folders

    weights = read_folders(options.weights)
    return _follow(pipeline.resume(options.draft, options.drafts, weights=weights), options)


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
