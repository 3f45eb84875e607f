"""AnyFlow-FAR: a Wan2.1 that goes on from what it has made, a few latents at a time, in a few steps.

A chunk is a rollout. The transformer reads the clean latents it is given and keeps each layer's keys and values; a
block of new latents is denoised seeing these, then read in turn. The last two blocks are read whole, those before with
a token for every four.

The rollout is Rushes' own, in a page: `AnyFlowFARPipeline` reads what it is given once for each of its blocks, of which
only the last reading counts, and holds room for a block more than it ever fills. With the same attention the latents
are its own, bit for bit (tests/models/test_anyflow_pipeline.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

import torch
from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn
from diffusers.models.transformers.transformer_anyflow_far import apply_rotary_emb
from diffusers.schedulers import FlowMapEulerDiscreteScheduler
from torch import Tensor

from pipeline.gpu.attention import set_attention
from pipeline.gpu.backend import torch_device
from pipeline.models.base import Keep, OnStep, Sampling, SamplingState
from pipeline.models.sampler import capture
from pipeline.models.wan import TRAINING_TIMESTEPS, WanModel
from pipeline.plan.chunks import Chunk, split_given
from pipeline.plan.spec import Component


@dataclass(slots=True)
class Memory:
    """What one layer keeps of the blocks before: keys, rotated to their places, and values, [1, heads, tokens, D]."""

    kept: tuple[Tensor, Tensor] | None = None


class BlockAttention:
    """A layer's attention within a rollout, in a fused kernel.

    diffusers' own wants flex attention, which without a compiler holds every score at once: 4 GiB a layer at 832 x 480.
    It also pads a block to a multiple of 128 tokens with zeros that are attended to; AnyFlow's authors, who trained the
    weights, do not (far/models/transformer_far_wan_model.py at dec61ac), and neither is it done here.
    """

    _attention_backend: AttentionBackendName | None = None  # as diffusers' processors: torch's own kernel

    def __call__(
        self,
        layer: Any,
        hidden_states: Tensor,
        rotary_emb: dict[str, Tensor],
        attention_mask: Sequence[int] | None,
        kv_cache: Memory,
        kv_cache_flag: dict[str, Any],
    ) -> Tensor:
        """Hidden states [1, tokens, D] of a block, or of all that is read; `attention_mask` then tells where each block
        of it ends, and a block sees no later one."""
        query, key, value = layer.to_q(hidden_states), layer.to_k(hidden_states), layer.to_v(hidden_states)
        query, key = layer.norm_q(query).to(value.dtype), layer.norm_k(key).to(value.dtype)
        query, key, value = (part.unflatten(2, (layer.heads, -1)).transpose(1, 2) for part in (query, key, value))
        query, key = (apply_rotary_emb(part, rotary_emb["query"]) for part in (query, key))
        if kv_cache_flag["is_cache_step"]:
            assert attention_mask is not None
            kv_cache.kept = key, value
            seen = torch.empty_like(query)
            for start, stop in pairwise((0, *attention_mask)):
                seen[:, :, start:stop] = self._look(query[:, :, start:stop], key[:, :, :stop], value[:, :, :stop])
        else:
            if kv_cache.kept:
                key, value = (torch.cat(parts, dim=2) for parts in zip(kv_cache.kept, (key, value), strict=True))
            seen = self._look(query, key, value)
        mixed: Tensor = layer.to_out[0](seen.transpose(1, 2).flatten(2, 3))
        return mixed

    def _look(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """All queries at all keys, [1, heads, tokens, D]."""
        parts = (part.transpose(1, 2) for part in (query, key, value))
        seen: Tensor = dispatch_attention_fn(*parts, backend=self._attention_backend)
        return seen.transpose(1, 2)


def attend_in_blocks(transformer: Any) -> Any:
    """The transformer, its self-attention replaced for a rollout."""
    for block in transformer.blocks:
        block.attn1.set_processor(BlockAttention())
    return transformer


class Rollout:
    """The blocks of a chunk as the transformer goes through them with one sentence. Latents are [1, F, C, h, w].

    Args:
        transformer: on the device, attending in blocks.
        text: embeddings [1, T, D] there.
    """

    def __init__(self, transformer: Any, text: Tensor) -> None:
        self.transformer, self.text = transformer, text
        self.memories = [Memory() for _ in transformer.blocks]
        self.blocks: tuple[int, ...] = ()

    def read(self, latents: Tensor, blocks: tuple[int, ...]) -> None:
        """Remember clean latents, of which `blocks` lie together, instead of what was remembered before."""
        config, (rows, columns) = self.transformer.config, latents.shape[3:]
        whole = config.full_chunk_limit - 1  # the block to come is one of the limit
        tokens = [
            count * (rows // height) * (columns // width)
            for part, (_, height, width) in (
                (blocks[:-whole], config.compressed_patch_size),
                (blocks[-whole:], config.patch_size),
            )
            for count in part
        ]
        clean = torch.zeros(1, latents.shape[1], dtype=torch.long, device=latents.device)
        self._run(latents, blocks, clean, clean, reading=True, attention_mask=tuple(accumulate(tokens)))
        self.blocks = blocks

    def flow(self, latents: Tensor, time: Tensor, until: Tensor) -> Tensor:
        """The way of the next block from one timestep to another, [1, F, C, h, w] float32."""
        count = latents.shape[1]
        times = (moment.expand(1, count) for moment in (time, until))
        flow: Tensor = self._run(latents, (*self.blocks, count), *times)
        return flow.float()

    def _run(
        self,
        latents: Tensor,
        blocks: tuple[int, ...],
        time: Tensor,
        until: Tensor,
        *,
        reading: bool = False,
        **more: Any,
    ) -> Any:
        flow, _ = self.transformer(
            hidden_states=latents.to(self.text.dtype),
            chunk_partition=list(blocks),
            timestep=time,
            r_timestep=until,
            encoder_hidden_states=self.text,
            kv_cache=self.memories,
            kv_cache_flag={"num_cached_chunks": len(self.blocks), "is_cache_step": reading},
            return_dict=False,
            **more,
        )
        return flow


class AnyFlowModel(WanModel):
    """One AnyFlow-FAR checkpoint: a Wan2.1 in all but how it denoises."""

    @torch.no_grad()
    def denoise(
        self,
        chunk: Chunk,
        sampling: Sampling,
        *,
        tail: Tensor | None,
        on_step: OnStep,
        resume_from: SamplingState | None = None,
        keep: Keep | None = None,
    ) -> Tensor:
        """Latents [1, C, F, h, w] float32 on the CPU; begins with `tail`, bit for bit.

        Steps are counted through all blocks of the chunk; a prediction shows what is there, up to the present block.
        """
        where, ratio = torch_device(self.device), self.spec.latent_pixels
        size = chunk.latents, sampling.shape.height // ratio, sampling.shape.width // ratio
        generator = torch.Generator("cpu").manual_seed(chunk.seed)
        noise = torch.randn(1, self.spec.latent_channels, *size, generator=generator).to(where).transpose(1, 2)
        if sampling.shared_noise is not None:
            shared = sampling.shared_noise.draw(noise.shape[2], *size[1:]).transpose(1, 2)
            noise[:, chunk.overlap : chunk.overlap + shared.shape[1]] = shared
        scheduler = self.checkpoint.scheduler(FlowMapEulerDiscreteScheduler, shift=self.spec.sigma_shift)
        scheduler.set_timesteps(sampling.steps, device=where)
        done = noise[:, :0] if tail is None else tail.to(where, torch.float32).transpose(1, 2)
        given = done.shape[1]  # of the chunks before, or a picture
        blocks = split_given(given, self.spec.block_latents or given)
        counts, begun = chunk.blocks or (chunk.new_latents,), noise[:, :0]
        made = skipped = 0
        if resume_from is not None:
            made, skipped = divmod(resume_from.step, sampling.steps)  # whole blocks, and steps of the next
            whole = given + sum(counts[:made])
            done, begun = resume_from.tensors["latents"].to(where).tensor_split((whole,), dim=1)
            blocks, counts = (*blocks, *counts[:made]), counts[made:]
        texts = [self._on_device(text) for text in (sampling.positive, sampling.negative) if text]
        with self.residency.on_device(Component.TRANSFORMER) as module:
            transformer = set_attention(attend_in_blocks(module), self.device)
            rollouts = [Rollout(transformer, text) for text in texts]
            for number, count in enumerate(counts, start=made):
                if blocks:
                    for rollout in rollouts:
                        rollout.read(done, blocks)
                start = done.shape[1]
                latents = begun if skipped else noise[:, start : start + count]
                for index, time in enumerate(scheduler.timesteps[skipped:], start=skipped):
                    flow = _flow(rollouts, latents, time, scheduler.sigmas[index + 1], sampling.guidance)
                    predicted = latents - scheduler.sigmas[index].to(latents) * flow
                    latents = scheduler.step(flow, time, latents, return_dict=False)[0]
                    step = number * sampling.steps + index + 1
                    if keep is not None:
                        keep(capture(scheduler, step, latents=torch.cat([done, latents], dim=1)))
                    on_step(step, partial(_join, done, predicted))
                skipped = 0
                done, blocks = torch.cat([done, latents], dim=1), (*blocks, count)
        return done.transpose(1, 2).cpu().contiguous()


def _flow(rollouts: list[Rollout], latents: Tensor, time: Tensor, sigma: Tensor, guidance: float) -> Tensor:
    """What to follow from `time` to the noise level `sigma`: of the sentence, away from the negative one if given."""
    flow, *without = (rollout.flow(latents, time, sigma * TRAINING_TIMESTEPS) for rollout in rollouts)
    return without[0] + guidance * (flow - without[0]) if without else flow


def _join(done: Tensor, predicted: Tensor) -> Tensor:
    """Latents [1, C, F, h, w] up to the present block, a copy."""
    return torch.cat([done, predicted], dim=1).transpose(1, 2)
