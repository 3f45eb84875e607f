"""What a look is: channel statistics, and nothing of what is to be seen."""

import pytest
import torch

from pipeline.video.look import anchor_look, keep_look

DIMS = (0, 2, 3, 4)


def draw(seed: int, frames: int, mean: float, deviation: float) -> torch.Tensor:
    noise = torch.randn(1, 3, frames, 4, 6, generator=torch.Generator().manual_seed(seed))
    channels = torch.tensor([1.0, 2.0, -1.0]).view(1, 3, 1, 1, 1)
    return deviation * noise * channels.abs() + mean * channels


def test_statistics_are_the_others() -> None:
    latents, other = draw(0, 7, 2.0, 1.0), draw(1, 4, -1.0, 0.5)
    moved = keep_look(latents, other)
    for of in (torch.mean, torch.std):
        torch.testing.assert_close(of(moved, dim=DIMS), of(other, dim=DIMS))


def test_what_is_to_be_seen_stays() -> None:
    latents, other = draw(0, 7, 2.0, 1.0), draw(1, 4, -1.0, 0.5)
    moved = keep_look(latents, other)
    assert moved.shape == latents.shape
    for channel in range(3):
        pair = torch.stack([latents[0, channel].flatten(), moved[0, channel].flatten()])
        assert torch.corrcoef(pair)[0, 1] > 0.9999


def test_a_plain_channel_takes_the_others_mean_and_no_noise() -> None:
    plain = torch.full((1, 3, 7, 4, 6), 3.0)
    moved = keep_look(plain, draw(1, 4, -1.0, 0.5))
    assert torch.isfinite(moved).all()
    assert moved.std(dim=DIMS).max() < 1e-6


def test_an_anchor_moves_the_last_latents_by_its_factor_and_the_first_hardly() -> None:
    latents, other = draw(0, 7, 2.0, 1.0), draw(1, 4, -1.0, 0.5)
    full = keep_look(latents, other)
    moved = anchor_look(latents, other, 0.5)
    share = (moved - latents) / (full - latents)
    for place, wanted in ((0, 0.005), (3, 0.25), (6, 0.495)):
        torch.testing.assert_close(share[:, :, place], torch.full_like(share[:, :, place], wanted), atol=6e-3, rtol=0)
    assert torch.equal(anchor_look(latents, other, 0.0), latents)


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.0])
def test_an_anchored_latent_keeps_a_deviation_between_both(factor: float) -> None:
    latents, other = draw(0, 7, 2.0, 1.0), draw(1, 4, -1.0, 0.5)
    full = keep_look(latents, other)
    for place in range(7):
        parts = [part[:, :, place].std(dim=(0, 2, 3)) for part in (latents, full)]
        least = torch.minimum(*parts)
        moved = anchor_look(latents, other, factor)[:, :, place].std(dim=(0, 2, 3))
        assert (moved >= 0.97 * least).all()
