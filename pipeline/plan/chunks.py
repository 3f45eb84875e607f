"""Where the chunks and the slices of a draft lie on its latent timeline. Integers only; no tensors, no models.

A draft is one sequence of latent frames. A chunk is a window on it whose first `overlap` latents are already there;
a slice is what one VAE window adds to the picture:

    latents      0 1 2 3 4 5 6 7 8 9 10 11 12
    chunk 0      [-----------]                    adds 0..6
    chunk 1            [=====--------)            given 4..6, adds 7..9   (= overlap)
    slice 0      [-----------]                    decodes 0..6, holds the frames of 6 back
    slice 1              [~~==-----)              decodes 4..9: 4..5 are only warm-up (~), 6 is faded over

A causal model goes on block by block, so its chunks are blocks, each given all that its window has room for:

    chunk 0      [-----)                          adds 0, then 1..3
    chunk 1      [=====-----)                     given 0..3, adds 4..6
    chunk 2      [===========-----)               given 0..6, adds 7..9
"""

from dataclasses import dataclass, replace

from pipeline.errors import InvalidRequest

SHARED_LATENTS = 3
"""Latents two neighbouring decode windows share: warm-up, and at their end what is faded from one to the other.

LTX's decoder looks both ways in time, so a window's own ends are its worst frames.
"""
FADED_LATENTS = 1
"""Of these. Two did worse, see tests/bench/README.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A window [start, stop) of the latent timeline, denoised in one go; its first `overlap` latents are given.

    `blocks` are the latents that a causal model denoises one after another; empty where all are denoised together.
    `scene_start` is the latent at which its scene begins, the shots that follow one another without a cut.
    `mix` names the shots whose sentences it is made of with their weights, which sum to one; empty for `shot` alone.
    `ahead` is how many latents behind `stop` are given, too, where what follows is there already.
    `windows`, [start, stop) each, are overlapping parts that take every step together; empty where it is one part.
    """

    index: int
    start: int
    stop: int
    overlap: int
    seed: int
    shot: int
    blocks: tuple[int, ...] = ()
    ahead: int = 0
    scene_start: int = 0
    mix: tuple[tuple[int, float], ...] = ()
    windows: tuple[tuple[int, int], ...] = ()

    @property
    def opens_scene(self) -> bool:
        """Whether nothing of its scene is there yet."""
        return self.start + self.overlap == self.scene_start

    @property
    def latents(self) -> int:
        """Latent frames in the window, those ahead included."""
        return self.stop - self.start + self.ahead

    @property
    def new_latents(self) -> int:
        """Latent frames it adds."""
        return self.stop - self.start - self.overlap

    @property
    def passes(self) -> tuple[int, ...]:
        """Latent frames that the transformer sees at once, for each of the times that a step takes."""
        return tuple(stop - start for start, stop in self.windows) or (self.latents,)

    @property
    def rounds(self) -> int:
        """How often it goes through all steps."""
        return max(1, len(self.blocks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A decode window [start, stop) and the frames [first_frame, first_frame + frames) it makes final.

    Of the decoded frames the first `skip` are dropped, the next `fade` are faded over what the slice before held
    back, and the last `hold` are held back for the next. `scene_start` is the latent at which its scene begins.
    """

    index: int
    chunk: int
    start: int
    stop: int
    skip: int
    fade: int
    hold: int
    first_frame: int
    frames: int
    scene_start: int = 0

    @property
    def opens_scene(self) -> bool:
        """Whether the decoder has seen nothing of its scene yet."""
        return self.start == self.scene_start


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """Where a chunk after the first comes in: `frame` is its first new one, the `faded_frames` before it are faded."""

    frame: int
    faded_frames: int


def plan_chunks(
    latents: int, *, longest: int, overlap: int, seed: int, shot_stops: tuple[int, ...]
) -> tuple[Chunk, ...]:
    """Cut a timeline into as few windows as possible, of nearly equal length.

    Args:
        latents: length of the timeline, at least 1.
        longest: most latents in a window; more than `overlap`.
        overlap: latents that each chunk but the first is given.
        seed: of the first chunk; each further chunk uses the next number, modulo 2**32.
        shot_stops: where each shot ends on the timeline, ascending, the last one `latents`.

    Returns:
        Chunks in order. Together they add every latent exactly once.
    """
    if longest <= overlap:
        raise InvalidRequest(
            "overlap_frames",
            f"An overlap of {overlap} latents leaves nothing new in a chunk of {longest}.",
            f"Use at most {longest - 1}.",
        )
    extra = max(0, latents - longest)
    count = 1 + -(-extra // (longest - overlap))
    total = latents + (count - 1) * overlap  # latents denoised, the given ones counted
    lengths = [total // count + (index < total % count) for index in range(count)]
    chunks, start = [], 0
    for index, length in enumerate(lengths):
        given = overlap if index else 0
        stop = start + length
        chunks.append(_chunk(index, start, stop, given, seed=seed, shot_stops=shot_stops))
        start = stop - overlap
    return tuple(chunks)


def plan_rollout(
    latents: int, *, longest: int, overlap: int | None, block: int, seed: int, shot_stops: tuple[int, ...]
) -> tuple[Chunk, ...]:
    """Cut a timeline into the blocks of a causal model: its first latent alone, then as `split_new` has them.

    Args:
        longest: most latents in a window, those given included.
        overlap: latents that a chunk is given, where there are so many; None for as many as its window has room for.
        block: latents denoised together.

    Returns:
        Chunks in order: the first has the first latent besides its block, the others one block, or the last two.
    """
    if longest < (overlap or 1) + block:
        raise InvalidRequest(
            "overlap_frames" if overlap else "chunk_frames",
            f"A chunk of {longest} latents has no room for the {overlap or 1} it is given and {block} new ones.",
            f"Make chunks of at least {(overlap or 1) + block}.",
        )
    first, *further = split_new(1, latents, block, longest=longest, overlap=overlap) or [()]
    chunks: list[Chunk] = []
    done = 0
    for blocks in ((1, *first), *further):
        stop = done + sum(blocks)
        given = min(done, longest - sum(blocks) if overlap is None else overlap)
        chunk = _chunk(len(chunks), done - given, stop, given, seed=seed, shot_stops=shot_stops)
        chunks.append(replace(chunk, blocks=blocks))
        done = stop
    return tuple(chunks)


def split_new(done: int, latents: int, block: int, *, longest: int, overlap: int | None) -> list[tuple[int, ...]]:
    """The blocks of the chunks from a scene's `done` latents on: `block` at a time, the last two halves of the rest.

    Halves of less than `block` are one chunk, so that the second reads the first as it was made, where its window has
    room besides for as much as a chunk is to be given, a block unless `overlap` says; else a chunk each.
    """
    whole, rest = divmod(latents - done, block)
    half = (block + rest) // 2
    if not (whole and rest) or block + rest - half == block:
        return [*[(block,)] * whole, *([(rest,)] if rest else [])]
    halves = (block + rest - half, half)
    together = longest - sum(halves) >= min(overlap or block, latents - sum(halves))
    return [*[(block,)] * (whole - 1), *([halves] if together else [(count,) for count in halves])]


def denoise_together(chunks: tuple[Chunk, ...]) -> tuple[Chunk, ...]:
    """All chunks of a draft as the windows of one; a single one stays what it is."""
    if len(chunks) == 1:
        return chunks
    windows = tuple((chunk.start, chunk.stop) for chunk in chunks)
    return (replace(chunks[0], stop=chunks[-1].stop, windows=windows),)


def split_given(latents: int, block: int) -> tuple[int, ...]:
    """The blocks in which a causal model sees what it is given, the incomplete one first."""
    whole, first = divmod(latents, block)
    return (*([first] if first else []), *[block] * whole)


def _chunk(index: int, start: int, stop: int, given: int, *, seed: int, shot_stops: tuple[int, ...]) -> Chunk:
    """With its seed, and the shot that the middle of its new latents lies in."""
    middle = (start + given + stop) / 2
    shot = next(number for number, end in enumerate(shot_stops) if middle <= end)
    return Chunk(index=index, start=start, stop=stop, overlap=given, seed=(seed + index) % 2**32, shot=shot)


def held_frames(stride: int, *, causal: bool) -> int:
    """Frames that a slice holds back for the next one, which is faded over them."""
    return 0 if causal else FADED_LATENTS * stride


def plan_slices(
    chunks: tuple[Chunk, ...], *, window: int, stride: int, causal: bool = False, written: tuple[Slice, ...] = ()
) -> tuple[Slice, ...]:
    """The decode windows of a draft, each as early as the chunks allow and at most `window` latents long.

    Args:
        chunks: from `plan_chunks`.
        window: most latents decoded at once; more than `SHARED_LATENTS` unless it holds the whole draft.
        stride: frames a latent stands for (the first one stands for a single frame).
        causal: whether the decoder remembers the window before, so that windows share nothing.
        written: the first of them, which are there already, perhaps in other windows.

    Returns:
        Slices in order; their frames cover the draft exactly once.
    """
    last = chunks[-1].stop
    shared = 0 if causal else SHARED_LATENTS
    faded = held_frames(stride, causal=causal)
    warm_up = 0 if causal else 1 + (SHARED_LATENTS - 1 - FADED_LATENTS) * stride  # a window's first latent is one frame
    assert window > shared or window >= last, "such a window never reaches the end"
    slices = list(written)
    start = max(0, written[-1].stop - shared) if written else 0  # of the next window
    done = sum(piece.frames for piece in written)  # frames already final
    if written and written[-1].stop == last:
        return written
    for chunk in chunks:
        while start == 0 or start + shared < chunk.stop:
            stop = min(start + window, chunk.stop)
            if stop < last and stop - start <= shared:
                break  # too little for a window of its own: leave it to the next chunk
            hold = 0 if stop == last else faded
            fade = faded if slices else 0
            frames = (stop - 1) * stride + 1 - hold - done
            slices.append(
                Slice(
                    index=len(slices),
                    chunk=chunk.index,
                    start=start,
                    stop=stop,
                    skip=warm_up if slices else 0,
                    fade=fade,
                    hold=hold,
                    first_frame=done,
                    frames=frames,
                )
            )
            done += frames
            if stop == last:
                return tuple(slices)
            start = stop - shared
    return tuple(slices)


def plan_seams(chunks: tuple[Chunk, ...], slices: tuple[Slice, ...], *, stride: int) -> tuple[Seam, ...]:
    """The seams of a draft, in order; none where there is one chunk.

    Args:
        chunks: from `plan_chunks`.
        slices: from `plan_slices`; where one of them ends its fade at a seam, that fade is the seam's.
        stride: frames a latent stands for (the first one stands for a single frame).
    """
    fades = {piece.first_frame + piece.fade: piece.fade for piece in slices}
    ends = [stop for chunk in chunks for _, stop in chunk.windows or ((chunk.start, chunk.stop),)]
    frames = ((end - 1) * stride + 1 for end in ends[:-1])
    return tuple(Seam(frame=frame, faded_frames=fades.get(frame, 0)) for frame in frames)
