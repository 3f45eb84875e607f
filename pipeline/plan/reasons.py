"""Why a plan is as it is, in sentences for people."""

from dataclasses import replace

from pipeline.errors import say_bytes
from pipeline.plan.chunks import Chunk
from pipeline.plan.combinations import PICTURE_COSTS
from pipeline.plan.draft import MemoryPlan
from pipeline.plan.following import sharing_noise
from pipeline.plan.levels import held_level, noise_levels
from pipeline.plan.memory import Placement, Stage
from pipeline.plan.request import GenerationRequest
from pipeline.plan.spec import Continuity, Tail


def explain(request: GenerationRequest, memory: MemoryPlan, chunks: tuple[Chunk, ...]) -> tuple[str, ...]:
    """What was decided, a sentence each."""
    spec, stages, device = request.spec, memory.stage_bytes, memory.device
    lines = [
        f"Computed on {device.name} in {memory.dtype}; {say_bytes(device.free_bytes)} of "
        f"{say_bytes(device.total_bytes)} are free there now.",
    ]
    if memory.choices[Stage.ENCODE].placement is Placement.KEPT:
        room = "room was made for it" if request.encoder == "resident" else "there is room"
        lines.append(f"The text encoder stays on the card: {room}, and the next sentence starts at once.")
    else:
        if request.encoder == "resident":
            lines.append("The text encoder does not stay: it can only on a graphics card.")
        saved = sum(stages.values()) - memory.peak_bytes
        lines.append(f"Text encoder, transformer and VAE are there one at a time: saves {say_bytes(saved)}.")
    if chunks[0].windows:
        lines.append(
            f"{len(chunks[0].windows)} windows of at most {spec.frames_of(max(chunks[0].passes))} frames take every "
            "step together, averaged where they overlap: all of the draft is ready at once, at its end."
        )
    elif len(chunks) == 1:
        lines.append(f"{request.frames} frames are within the model's native length: one chunk, no seams.")
    elif spec.block_latents:
        most = spec.frames_of(max(chunk.overlap for chunk in chunks))
        lines.append(f"{len(chunks)} chunks, each of which sees what was made before it, up to {most} frames.")
    else:
        shared = max(chunk.overlap for chunk in chunks)
        again = ", which are encoded again" if request.continued_by is Tail.FRAMES else ""
        lines.append(
            f"{len(chunks)} chunks of at most {spec.frames_of(max(chunk.latents for chunk in chunks))} frames, each "
            + (f"continuing from the last {spec.frames_of(shared)} of the one before{again}." if shared else "alone.")
        )
    if len(chunks) > 1 or chunks[0].windows:
        # Where all chunks are denoised together none is first
        together = bool(chunks[0].windows)
        held = replace(request.continuity, anchor=0.0, recall=0.0) if together else request.continuity
        held = replace(held, guided_share=1.0) if together or request.guidance <= 1 else held
        lines += [*_begin_with(request, chunks), *_hold_together(held)]
    cuts, mixed = len(request.scenes) - 1, sum(bool(chunk.mix) for chunk in chunks)
    if cuts:
        said = "1 cut: the chunk after it is" if cuts == 1 else f"{cuts} cuts: the chunks after them are"
        lines.append(f"{said} given nothing of what was made before.")
    if mixed and request.continuity.turn_away and request.guidance > 1:
        share = request.continuity.turn_away
        lines.append(
            "Where a sentence follows another, chunks are guided away from the one before, in the last "
            f"{share:.0%} of their steps."
        )
    if mixed:
        lines.append(f"One sentence passes into the next in {mixed} of {len(chunks)} chunks: made of both, mixed.")
    for choice in memory.choices.values():
        lines.append(f"{choice.name[0].upper()}{choice.name[1:]}: {say_bytes(choice.card_bytes)}.")
        cost = PICTURE_COSTS.get((choice.stage, choice.precision))
        if cost:
            lines.append(
                f"What {choice.precision} costs there: on the miniature, pictures at a PSNR of {cost.psnr_db:.0f} dB "
                f"to those with full weights, latents off by {cost.latent_error:.1%}."
            )
    largest = max(Stage, key=lambda stage: stages[stage])
    lines.append(
        f"The {largest} stage is the largest: {say_bytes(memory.peak_bytes)} of {say_bytes(memory.budget_bytes)}."
    )
    return tuple(lines)


def _begin_with(request: GenerationRequest, chunks: tuple[Chunk, ...]) -> list[str]:
    """What becomes of chunks' tails and noise: the shares asked for, in the steps and the whole latents there are."""
    lines, strength, share = [], request.continuity.tail_strength, request.continuity.shared_noise
    further = [chunk for chunk in chunks if not chunk.opens_scene]
    if strength < 1 and further:
        lines.append(_say_certain(strength, request))
    if share and further:
        most = max(further, key=lambda chunk: (len(sharing_noise(chunks, chunk, share)), chunk.new_latents))
        shared, added = len(sharing_noise(chunks, most, share)), most.new_latents
        lines.append(
            f"{share:.0%} of what a chunk adds begins from the first chunk's noise: {shared} of {added} latents."
            if shared
            else f"A shared noise of {share:.0%} does nothing here: in whole latents it is none of the {added} that a "
            "chunk adds."
        )
    return lines


def _say_certain(strength: float, request: GenerationRequest) -> str:
    certain = 1 - held_level(noise_levels(request.spec, request.steps, request.continued_by), strength)
    if f"{certain:.0%}" == "100%":
        return (
            f"A tail strength of {strength:.0%} does nothing here: no step of {request.steps} begins with about "
            f"{1 - strength:.0%} of noise, so what a chunk is told of the one before is certain."
        )
    nearest = (
        "" if f"{certain:.0%}" == f"{strength:.0%}" else f", the nearest to {strength:.0%} in {request.steps} steps"
    )
    return f"What a chunk is told of the one before is certain to {certain:.0%}{nearest}: the rest is denoised anew."


def _hold_together(continuity: Continuity) -> list[str]:
    """What holds chunks together besides what they begin with."""
    lines = []
    if continuity.anchor:
        lines.append(f"Each chunk is drawn to the colours and contrast of its shot's first by {continuity.anchor:.0%}.")
    if continuity.match_colour:
        lines.append(f"{continuity.match_colour:.0%} of a step in colour between chunks becomes a slope.")
    if continuity.guided_share < 1:
        lines.append(
            f"Chunks that go on in their shot are guided in the last {continuity.guided_share:.0%} of their steps."
        )
    if continuity.recall:
        lines.append(
            f"Where a chunk ends with less than {continuity.recall:.0%} of what its shot's first showed, the next is "
            "shown some of that again."
        )
    return lines
