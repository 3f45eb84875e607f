"""Train the miniature's text encoder and transformer together, by flow matching on cached latents.

    python -m pipeline.training.teacher --work /tmp/miniature --steps 6000
    python -m pipeline.training.teacher --work /tmp/miniature --steps 4000 --start assets/miniature   # go on from there

The classes are the real ones (`T5EncoderModel`, `LTXVideoTransformer3DModel`), the objective is LTX-Video's: at sigma
s a latent is (1 - s) x + s noise and the model predicts noise - x. Leading latents are given clean, at per-token
timestep 0, in four windows of ten, which is how `LTXConditionPipeline` continues a clip. Resumable.
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from diffusers import LTXVideoTransformer3DModel
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import T5Config, T5EncoderModel

from pipeline.training.scenes import FRAMES_PER_SECOND, TRAINED
from pipeline.training.sentences import build_tokenizer, training_sentence
from pipeline.training.state import State, learning_rate

TEXT_TOKENS = 32
BEGIN_SHARE = 0.5  # of batches; the others are given one to three latents and continue
GUESSED_SHARE = 0.5  # of clips that continue: they are given what the teacher makes of their beginning, not the truth
GUESSED_FROM = (0.2, 0.7)  # sigmas such a beginning is guessed from
CAPTION_DROPOUT = 0.1  # teaches the empty sentence, so that classifier-free guidance works
TOKENS_PER_STEP = 4200
PIXELS_PER_LATENT = 32
FRAMES_PER_LATENT = 8
SMALL_PICTURE = 24  # tokens a latent frame; the first part of training sees only such, many clips to a step
SMALL_SHARE = 0.35  # of all steps
PEAK_LEARNING_RATE = 1.5e-3
RESTART_LEARNING_RATE = 4e-4  # peak when going on from trained weights: 8e-4 sets the loss back from 0.07 to 0.088
WINDOWS = (4, 5, 6, 7, 7, 7, 7)  # latents in a training window; seven are 49 frames, the native length

TRANSFORMER = {
    "num_attention_heads": 8,
    "attention_head_dim": 32,
    "cross_attention_dim": 256,
    "num_layers": 7,
    "caption_channels": 128,
}
TEXT_ENCODER = {
    "d_model": 128,
    "d_kv": 32,
    "d_ff": 256,
    "num_layers": 2,
    "num_heads": 4,
    "feed_forward_proj": "gated-gelu",
}


class Teacher(nn.Module):
    """Text encoder and transformer under one roof, as they are trained."""

    def __init__(self, latent_channels: int, vocabulary_words: int) -> None:
        super().__init__()
        self.text_encoder = T5EncoderModel(
            T5Config(vocab_size=vocabulary_words, dropout_rate=0.0, tie_word_embeddings=False, **TEXT_ENCODER)
        )
        self.transformer = LTXVideoTransformer3DModel(
            in_channels=latent_channels, out_channels=latent_channels, **TRANSFORMER
        )

    def forward(self, tokens: Tensor, text_ids: Tensor, text_mask: Tensor, timestep: Tensor, coords: Tensor) -> Tensor:
        """Velocity [B, S, C] of latent tokens [B, S, C] at per-token `timestep` [B, S] (0 to 1000)."""
        text = self.text_encoder(input_ids=text_ids, attention_mask=text_mask).last_hidden_state
        velocity: Tensor = self.transformer(
            hidden_states=tokens,
            encoder_hidden_states=text,
            timestep=timestep,
            encoder_attention_mask=text_mask,
            video_coords=coords,
            return_dict=False,
        )[0]
        return velocity


class Shards:
    """Cached latents by size; new shards are picked up as they appear."""

    def __init__(self, folder: Path, mean: Tensor, std: Tensor) -> None:
        self.folder, self.mean, self.std = folder, mean, std
        self.seen: set[str] = set()
        self.clips: dict[tuple[int, ...], list[tuple[Tensor, int, bool]]] = defaultdict(list)

    def refresh(self) -> int:
        """Read new shards; returns how many clips there are."""
        for path in sorted(self.folder.glob("*.pt")):
            if path.name not in self.seen:
                self.seen.add(path.name)
                shard = torch.load(path, weights_only=True)
                normal = ((shard["latents"].float() - self.mean) / self.std).to(torch.bfloat16)
                for latent, words, fresh in zip(normal, shard["words"], shard["fresh"], strict=True):
                    self.clips[tuple(latent.shape[2:])].append((latent, words, fresh))
        return sum(len(clips) for clips in self.clips.values())


def make_batch(shards: Shards, rng: np.random.Generator, *, small: bool) -> tuple[Tensor, Tensor, Tensor, list[str]]:
    """One batch of windows of one size, a small one if `small`.

    Returns:
        latents [B, C, F, h, w] float32; given [B, F] bool; coords [B, 3, S] float32 (seconds, pixels down, pixels
        across); B sentences.
    """
    sizes = sorted(size for size in shards.clips if not small or size[0] * size[1] <= SMALL_PICTURE)
    weights = np.array([len(shards.clips[size]) * size[0] * size[1] for size in sizes], dtype=float)
    size = sizes[rng.choice(len(sizes), p=weights / weights.sum())]
    clips = shards.clips[size]
    height, width = size
    length = int(WINDOWS[rng.integers(len(WINDOWS))])
    count = max(4, TOKENS_PER_STEP // (length * height * width))
    begin = rng.random() < BEGIN_SHARE  # a batch begins clips or continues them
    if begin:
        clips = [clip for clip in clips if clip[2]]
    latents, given, starts, sentences = [], torch.zeros(count, length, dtype=torch.bool), [], []
    for row in range(count):
        latent, words, _ = clips[rng.integers(len(clips))]
        start = 0 if begin else int(rng.integers(0, latent.shape[1] - length + 1))
        kept = 0 if begin else int(rng.integers(1, 4))
        latents.append(latent[:, start : start + length].float())
        given[row, :kept] = True
        starts.append(start)
        sentences.append("" if rng.random() < CAPTION_DROPOUT else training_sentence(TRAINED[words], rng))
    frame = (torch.tensor(starts).view(-1, 1) + torch.arange(length)) * FRAMES_PER_LATENT + 1 - FRAMES_PER_LATENT
    seconds = frame.clamp(min=0) / FRAMES_PER_SECOND
    coords = torch.stack(
        [
            seconds.view(count, length, 1, 1).expand(count, length, height, width),
            (torch.arange(height) * PIXELS_PER_LATENT).view(1, 1, -1, 1).expand(count, length, height, width),
            (torch.arange(width) * PIXELS_PER_LATENT).view(1, 1, 1, -1).expand(count, length, height, width),
        ],
        dim=1,
    )
    return torch.stack(latents), given, coords.flatten(2).float(), sentences


def to_tokens(latents: Tensor) -> Tensor:
    """[B, C, F, h, w] to [B, F*h*w, C]."""
    return latents.flatten(2).transpose(1, 2)


@torch.no_grad()
def guess(teacher: Teacher, clean: Tensor, text_ids: Tensor, text_mask: Tensor, coords: Tensor) -> Tensor:
    """What the teacher takes `clean` [B, C, F, h, w] for in one look through noise: softer, as a chunk's own tail is.

    Continuing from such latents teaches it to give back what many chunks in a row would otherwise lose.
    """
    least, most = GUESSED_FROM
    sigma = least + (most - least) * torch.rand(len(clean), 1, 1, 1, 1, device=clean.device)
    noisy = (1 - sigma) * clean + sigma * torch.randn_like(clean)
    with torch.autocast(clean.device.type, torch.bfloat16):
        velocity = teacher(to_tokens(noisy), text_ids, text_mask, sigma.flatten(1) * 1000, coords)
    guessed: Tensor = noisy - sigma * velocity.float().transpose(1, 2).reshape(clean.shape)
    return guessed


def train(work: Path, *, steps: int, device: str, seed: int, start: Path | None) -> None:
    """Train to `steps` steps on the shards under `work`, saving state every 100.

    With `start`, a folder in diffusers' layout, the weights begin as they are there, the learning rate peaks lower and
    no step sees small pictures only.
    """
    torch.manual_seed(seed)
    statistics = torch.load(work / "statistics.pt", weights_only=True)
    shards = Shards(work / "latents", statistics["mean"].view(1, -1, 1, 1, 1), statistics["std"].view(1, -1, 1, 1, 1))
    tokenizer = build_tokenizer()
    teacher = Teacher(len(statistics["mean"]), len(tokenizer))
    if start:
        for part, kind in (("text_encoder", T5EncoderModel), ("transformer", LTXVideoTransformer3DModel)):
            getattr(teacher, part).load_state_dict(kind.from_pretrained(start / part).float().state_dict())
    teacher = teacher.to(device).train()
    peak = RESTART_LEARNING_RATE if start else PEAK_LEARNING_RATE

    blocks = teacher.transformer.transformer_blocks.named_parameters()
    matrices = [p for name, p in blocks if p.ndim == 2 and "scale_shift_table" not in name]
    chosen = {id(p) for p in matrices}
    rest = [p for p in teacher.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(matrices, lr=PEAK_LEARNING_RATE, weight_decay=0.02, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(rest, lr=PEAK_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.0)
    state = State(work / "teacher.pt", teacher, muon, adam, decay=0.998)
    step = state.load()
    log = (work / "teacher.jsonl").open("a")
    began, running = time.monotonic(), []
    while step < steps:
        if step % 50 == 0:
            clips = shards.refresh()
        rng = np.random.default_rng((seed, 1, step))
        latents, given, coords, sentences = make_batch(shards, rng, small=not start and step < SMALL_SHARE * steps)
        text = tokenizer(
            sentences, padding="max_length", max_length=TEXT_TOKENS, truncation=True, return_tensors="pt"
        ).to(device)
        clean, hold = latents.to(device), given.to(device)[:, None, :, None, None]
        # 1. Sigmas: logit-normal, pushed a little towards noise, where the layout of a clip is decided
        sigma = torch.sigmoid(torch.randn(len(clean), device=device) + 0.2).view(-1, 1, 1, 1, 1)
        noise = torch.randn_like(clean)
        # 2. What is given is at sigma 0, often a little wrong, as a chunk's own tail will be
        wrong = torch.rand_like(sigma) * 0.12 * (torch.rand_like(sigma) < 0.5)
        tail = clean + wrong * torch.randn_like(clean)
        if hold.any():
            guessed = guess(teacher, clean, text.input_ids, text.attention_mask, coords.to(device))
            tail = torch.where(torch.rand_like(sigma) < GUESSED_SHARE, guessed, tail)
        noisy = torch.where(hold, tail, (1 - sigma) * clean + sigma * noise)
        timestep = torch.where(hold, 0.0, sigma).expand(-1, -1, -1, *clean.shape[3:]).flatten(1) * 1000
        if not hold.any():
            timestep = timestep[:, :1]  # one for all tokens: far fewer modulations to compute
        for group in muon.param_groups + adam.param_groups:
            group["lr"] = learning_rate(step, steps, peak, warmup=150)
        # Attention by plain products: on the CPU the backward of the fused kernel takes twice the whole step
        with sdpa_kernel(SDPBackend.MATH), torch.autocast(device, torch.bfloat16):
            velocity = teacher(to_tokens(noisy), text.input_ids, text.attention_mask, timestep, coords.to(device))
        weight = to_tokens((~hold).float().expand_as(clean))
        error = F.mse_loss(velocity.float(), to_tokens(noise - clean), reduction="none") * weight
        loss = error.sum() / weight.sum()
        teacher.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(teacher.parameters(), 1.0)
        muon.step()
        adam.step()
        step += 1
        state.average()
        running.append(loss.item())
        if step % 50 == 0:
            row = {"step": step, "seconds": round(time.monotonic() - began), "loss": round(float(np.mean(running)), 4)}
            print(json.dumps(row | {"clips": clips}), file=log, flush=True)
            running.clear()
        if step % 100 == 0 or step == steps:
            state.save(step)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=Path, help="a folder in diffusers' layout whose weights to begin with")
    arguments = parser.parse_args()
    train(arguments.work, steps=arguments.steps, device=arguments.device, seed=arguments.seed, start=arguments.start)


if __name__ == "__main__":
    main()
