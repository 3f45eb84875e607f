"""What a take is: the first chunk of a draft in few steps, from a seed of its own.

A chunk's noise depends on its seed and its size alone. A take has the shape and the first chunk's length of the draft
it stands for, so that the draft begins from the same noise: that is what makes them alike.
"""

from dataclasses import replace

from pipeline.plan.draft import DraftPlan
from pipeline.plan.request import GenerationRequest
from pipeline.plan.storyboard import lay_out

STEPS_SHARE = 4  # a take has a quarter of the draft's steps: `python -m tests.bench.takes`
LEAST_STEPS = 4  # what distilled models are made for


def take_of(plan: DraftPlan, seed: int) -> GenerationRequest:
    """The request for a take of a planned draft: its first chunk's frames, its first shot, few steps."""
    request, spec = plan.request, plan.spec
    frames = min(request.frames, spec.frame_stride * (plan.chunks[0].stop - 1) + 1)
    shots, frames = lay_out(request.shots[0].prompt, spec, frames / spec.fps)
    steps = min(request.steps, max(LEAST_STEPS, -(-request.steps // STEPS_SHARE)))
    end_image = request.end_image if len(plan.chunks) == 1 else None  # a first chunk of several ends elsewhere
    return replace(request, shots=shots, frames=frames, steps=steps, seed=seed, end_image=end_image)
