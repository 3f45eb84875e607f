"""`plan`, `draft`, `resume` and `delete`: what a draft would take, making it, going on with it, its end."""

import argparse
import json
import secrets
import shutil
import sys
from collections.abc import Generator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pipeline
from pipeline.commands.options import DONE, FAILED, STOPPED, Commands, add_command, add_folder, add_weights
from pipeline.commands.progress import show_draft
from pipeline.drafts.disposal import delete_draft
from pipeline.drafts.measurements import Measurements
from pipeline.drafts.pictures import Picture, read_picture_file
from pipeline.errors import InvalidRequest, WriteFailed, say_bytes
from pipeline.events import Event, Failed, Finished, Started, Stopped
from pipeline.plan.catalog import CATALOG, find_model
from pipeline.plan.limits import ENCODER_POLICIES, LOWEST_PRECISIONS
from pipeline.plan.request import LONGEST_SECONDS, GenerationRequest, Shot
from pipeline.plan.say import plan_as_json, plan_as_text
from pipeline.plan.spec import Continuity, Keyframe, ModelSpec, Tail, VideoShape
from pipeline.plan.storyboard import is_storyboard, lay_out
from pipeline.settings import read_settings
from pipeline.signals import heeding_signals, interrupt

LARGEST_STORYBOARD_BYTES = 2**18  # the most shots of the longest sentences, four bytes a character
GIVEN_BESIDES = ("seed", "start_image", "end_image")  # what may be another than in --settings
CONTINUITY = tuple(field.name for field in fields(Continuity))
OTHER_SETTINGS = ("storyboard", "seconds", "width", "height", "vram_limit", "ram_limit", *CONTINUITY)
"""No fields of a request."""


def add(commands: Commands) -> None:
    """The four commands."""
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
    command = add_command(commands, "delete", "delete a draft that nobody works on, and say how much room that made")
    command.add_argument("draft", help="its id")
    add_folder(command)
    command.set_defaults(run=_delete)


def _add_request(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "prompt", nargs="?", help="what happens: a sentence, or shots, '[2s] A boat leaves / [3s cut] The boat arrives'"
    )
    command.add_argument("--storyboard", type=Path, metavar="FILE", help="a text file with one shot a line instead")
    text = "instead of all that but --seed and pictures: as it was in this mp4 of Rushes or request.json"
    command.add_argument("--settings", type=Path, metavar="FILE", help=text)
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
    command.add_argument("--start-image", type=Path, metavar="FILE", help="a picture that the draft begins with")
    command.add_argument("--end-image", type=Path, metavar="FILE", help="a picture that it ends with")
    command.add_argument("--tail-strength", type=float, help="how much of what it takes over is certain, 0.5 to 1")
    text = "how far a chunk's colours and contrast are drawn to its shot's first chunk's, 0 to 1"
    command.add_argument("--anchor", type=float, help=text)
    text = "share of a chunk that begins from the same noise as the first chunk, 0 to 0.5"
    command.add_argument("--shared-noise", type=float, help=text)
    text = "how much of a step in colour between chunks is taken back when they are decoded, 0 to 1"
    command.add_argument("--match-colour", type=float, help=text)
    text = "share of its steps, the last ones, in which a chunk that goes on in its shot is guided, 0 to 1"
    command.add_argument("--guided-share", type=float, help=text)
    text = "a chunk is shown some of its shot's first again where the one before ends with less than this share of it"
    command.add_argument("--recall", type=float, help=text)
    text = "share of its steps in which a chunk with a new sentence is guided away from the one before, 0 to 1"
    command.add_argument("--turn-away", type=float, help=text)
    command.add_argument("--vram-limit", type=float, metavar="GIB", help="use at most so much of the card")
    command.add_argument("--ram-limit", type=float, metavar="GIB", help="use at most so much main memory")
    command.add_argument(
        "--lowest-precision", default="int8", help=f"how coarse weights may become: {', '.join(LOWEST_PRECISIONS)}"
    )
    text = f"whether the text encoder stays on the card: {', '.join(ENCODER_POLICIES)}"
    command.add_argument("--encoder", default="auto", help=text)
    command.add_argument("--decode-float32", action="store_true", help="decode in float32: twice the memory")
    add_folder(command)
    command.add_argument("--output", type=Path, help="also put the finished mp4 here")
    command.set_defaults(untouched=vars(command.parse_args([])))


def _pictures(options: argparse.Namespace) -> dict[str, Picture]:
    """What is given, by the request's field."""
    given = ((place, getattr(options, f"{place}_image")) for place in Keyframe)
    return {f"{place}_image": read_picture_file(path, place) for place, path in given if path is not None}


def _request(options: argparse.Namespace, pictures: Mapping[str, Picture]) -> GenerationRequest:
    named: dict[str, Any] = {field: picture.name for field, picture in pictures.items()}
    if options.settings is not None:
        return replace(_settled(options), **named)
    spec = find_model(options.model)
    shots, frames = _shots(options, spec)
    shape = spec.shapes[0]
    return GenerationRequest(
        shots=shots,
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
        continuity=_continuity(options, spec),
        vram_limit_gib=options.vram_limit,
        ram_limit_gib=options.ram_limit,
        decode_float32=options.decode_float32,
        lowest_precision=options.lowest_precision,
        encoder=options.encoder,
        **named,
    )


def _continuity(options: argparse.Namespace, spec: ModelSpec) -> Continuity:
    """The model's own, but for what is given."""
    given = {name: getattr(options, name) for name in CONTINUITY}
    return replace(spec.continuity, **{name: value for name, value in given.items() if value is not None})


def _settled(options: argparse.Namespace) -> GenerationRequest:
    """As a file has it. A sentence or a setting given besides is refused, lest one of the two be lost in silence."""
    for name in ("prompt", *(field.name for field in fields(GenerationRequest)), *OTHER_SETTINGS):
        if name not in GIVEN_BESIDES and getattr(options, name, None) != options.untouched.get(name):
            raise InvalidRequest(name, f"{name.replace('_', ' ')} is given here and in --settings.", "Drop one.")
    settings = read_settings(options.settings)
    if settings.edited:
        said = "was put together from several takes: only the settings of its first are used, which make another film."
        print(f"{options.settings} {said}", file=sys.stderr)
    return settings.request if options.seed is None else replace(settings.request, seed=options.seed)


def _shots(options: argparse.Namespace, spec: ModelSpec) -> tuple[tuple[Shot, ...], int]:
    """What is to be seen, and in how many frames."""
    text = _text(options)
    if options.frames is None:
        return lay_out(text, spec, options.seconds)
    most = 2 * LONGEST_SECONDS * spec.fps  # a count may have more digits than can be divided
    seconds = min(max(options.frames, -most), most) / spec.fps
    if is_storyboard(text):
        return lay_out(text, spec, seconds)
    return (Shot(prompt=text, seconds=min(max(seconds, 1 / spec.fps), LONGEST_SECONDS)),), options.frames


def _text(options: argparse.Namespace) -> str:
    """The sentence or the storyboard, from the command line or a file."""
    path: Path | None = options.storyboard
    if (path is None) == (options.prompt is None):
        said = "There is no sentence yet." if path is None else f"There is a sentence besides the storyboard {path}."
        raise InvalidRequest("prompt", said, "Give one of the two: a text, or --storyboard FILE.")
    if path is None:
        return str(options.prompt)
    try:
        if path.stat().st_size > LARGEST_STORYBOARD_BYTES:
            raise InvalidRequest(
                "prompt", f"{path} is no storyboard: it is larger than {LARGEST_STORYBOARD_BYTES // 2**10} KiB."
            )
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise InvalidRequest("prompt", f"The storyboard {path} cannot be read: {reason}.") from error


def _plan(options: argparse.Namespace) -> int:
    plan = pipeline.plan(_request(options, _pictures(options)), options.drafts, suppose=True)
    experience = Measurements(options.drafts).experience(plan.request, plan.memory.device)
    if options.json:
        print(json.dumps(plan_as_json(plan, experience)))
    else:
        print(plan_as_text(plan, experience))
    return DONE


def _draft(options: argparse.Namespace) -> int:
    weights, pictures = _own_folders(options), _pictures(options)
    plan = pipeline.plan(_request(options, pictures), options.drafts)
    for picture in pictures.values():
        picture.keep(options.drafts)
    return follow(pipeline.draft(plan, options.drafts, weights=weights), options)


def _own_folders(options: argparse.Namespace) -> dict[str, Path]:
    from pipeline.gpu.folders import read_folders

    weights = read_folders(options.weights)
    model = options.model if options.settings is None else read_settings(options.settings).request.model
    if weights and model not in weights:
        said = f"The draft is made with {model}, and --weights names {', '.join(weights)}."
        raise InvalidRequest("weights", said, f"Add --model {next(iter(weights))}.")
    return weights


def _resume(options: argparse.Namespace) -> int:
    from pipeline.gpu.folders import read_folders

    weights = read_folders(options.weights)
    return follow(pipeline.resume(options.draft, options.drafts, weights=weights), options)


def _delete(options: argparse.Namespace) -> int:
    freed = delete_draft(options.drafts, options.draft)
    print(json.dumps({"deleted": options.draft, "freed_bytes": freed}) if options.json else f"{say_bytes(freed)} freed")
    return DONE


def follow(events: Generator[Event, None, None], options: argparse.Namespace) -> int:
    """Show what happens until the draft is over, and where its film is; the exit code."""
    code, folder = FAILED, options.drafts
    with heeding_signals(interrupt):
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
                        if event.file:
                            _report(folder / event.file, options)
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
