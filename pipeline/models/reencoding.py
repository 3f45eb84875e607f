"""Frames to latents again, for a chunk that begins with the last frames of the one before."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.gpu.residency import Residency
from pipeline.models.base import Decode, Frames
from pipeline.plan.memory import TILE_OVERLAP_PIXELS
from pipeline.plan.reencoding import plan_reencoding
from pipeline.plan.spec import Component, ModelSpec
from pipeline.video.blending import Crossfader


def decode_end(decode: Decode, latents: Tensor, count: int, *, spec: ModelSpec, window: int) -> Frames:
    """The last frames of a timeline [1, C, F, h, w], as many as `count` latents of a clip hold: [f, H, W, 3].

    Args:
        decode: of a decoder that has decoded nothing yet.
        window: most latents decoded at once; what is longer comes in several, faded where they meet.

    Raises:
        ValueError: when the timeline holds fewer frames.
    """
    there, wanted = latents.shape[2], spec.frames_of(count)
    if there < count:
        raise ValueError(f"a timeline of {there} latents has no {wanted} frames to be encoded again")
    pieces = plan_reencoding(count, there=there, window=window, stride=spec.frame_stride, causal=spec.causal_decoder)
    end, fader, frames = latents[:, :, there - pieces[-1].stop :], Crossfader(), list[Frames]()
    for piece in pieces:
        decoded = decode(end[:, :, piece.start : piece.stop])[piece.skip :]
        frames.append(fader.push(decoded, fade=piece.fade, hold=piece.hold))
    return np.concatenate(frames)[-wanted:]


@torch.no_grad()
def encode_frames(residency: Residency, frames: Frames, tile_pixels: int | None) -> Tensor:
    """Latents [1, C, f, h, w], float32 on the CPU, normalised, of frames [F, H, W, 3]; the first stands for one frame.

    Args:
        residency: brings the VAE's encoder, for this call only.
        frames: as many as the VAE's grid takes, 8 k + 1 or 4 k + 1.
        tile_pixels: side of the tiles that are encoded one after the other; None for whole pictures.
    """
    with residency.on_device(Component.VAE_ENCODER) as module:
        vae: Any = module
        if tile_pixels is not None:
            stride = tile_pixels - TILE_OVERLAP_PIXELS
            vae.enable_tiling(
                tile_sample_min_height=tile_pixels,
                tile_sample_min_width=tile_pixels,
                tile_sample_stride_height=stride,
                tile_sample_stride_width=stride,
            )
        where = residency.place(Component.VAE_ENCODER)
        pixels = torch.from_numpy(frames).to(where).permute(3, 0, 1, 2)[None]
        dtype = next(vae.encoder.parameters()).dtype
        latents = vae.encode((pixels.float() / 127.5 - 1).to(dtype)).latent_dist.mode().float()
        mean, std = (torch.as_tensor(values, device=where).float().view(1, -1, 1, 1, 1) for values in _statistics(vae))
        normalised: Tensor = (latents - mean) / std * vae.config.get("scaling_factor", 1.0)
        return normalised.cpu()


def _statistics(vae: Any) -> tuple[Any, Any]:
    """Mean and deviation of each channel: LTX's VAE keeps them as tensors, Wan's in its configuration."""
    if "latents_mean" in vae.config:
        return vae.config["latents_mean"], vae.config["latents_std"]
    return vae.latents_mean, vae.latents_std
