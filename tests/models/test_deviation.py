"""Blends deviate as much as their parts: of random ones, of equal ones, of constants, in every precision."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from pipeline.models.deviation import MOST, deviation_of, with_deviation
from pipeline.models.strength import blend_versions
from pipeline.models.windows import Windows, average, window_weights
from pipeline.video.blending import sigmoid_ramp

LEAST, GREATEST = 0.97, 1.03  # deviation of a blend, of that of its parts
WINDOWS: list[Windows] = [((0, 7), (6, 13)), ((0, 7), (4, 11)), ((0, 5), (3, 8), (6, 11)), ((0, 4), (1, 5), (2, 6))]
ALIKE = [0.0, 0.5, 0.9]  # correlation of parts
CHANNELS, ROWS, COLUMNS = 16, 3, 5  # the miniature's at 160x96
BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])


@pytest.fixture(params=range(3))
def draw(request: pytest.FixtureRequest) -> Callable[..., Tensor]:
    """Latents of so many of a timeline, with another deviation and mean in every channel."""
    generator = torch.Generator().manual_seed(request.param)
    scale, offset = (torch.rand(1, CHANNELS, 1, 1, 1, generator=generator) for _ in range(2))

    def drawn(latents: int, *, batch: int = 1) -> Tensor:
        noise = torch.randn(batch, CHANNELS, latents, ROWS, COLUMNS, generator=generator)
        return (0.5 + scale) * noise + offset

    return drawn


def mixed(first: Tensor, second: Tensor, alike: float) -> Tensor:
    """Like `first` by a correlation."""
    return alike * first + (1 - alike**2) ** 0.5 * second


def plainly(latents: Tensor) -> Tensor:
    """[F]: the standard deviation of all numbers of a latent, measured as anybody would."""
    return latents.float().movedim(2, 0).flatten(1).std(1)


@pytest.mark.parametrize("alike", ALIKE)
@pytest.mark.parametrize("windows", WINDOWS)
@BOTH
def test_what_windows_say_deviates_as_much_averaged(
    draw: Callable[..., Tensor], windows: Windows, alike: float, dtype: torch.dtype
) -> None:
    latents = windows[-1][1]
    base = draw(latents)
    parts = [mixed(base, draw(latents), alike)[:, :, start:stop].to(dtype) for start, stop in windows]
    whole = average(windows, iter(parts))
    wanted = torch.zeros(latents)
    for (start, stop), weight, part in zip(windows, window_weights(windows), parts, strict=True):
        wanted[start:stop] += weight * plainly(part)
    ratio = plainly(whole) / wanted
    assert ratio.min() >= LEAST
    assert ratio.max() <= GREATEST
    assert whole.dtype == dtype


@pytest.mark.parametrize("alike", ALIKE)
@pytest.mark.parametrize("overlap", [1, 2, 3, 5])
@BOTH
def test_two_versions_of_an_overlap_deviate_as_much_as_one(
    draw: Callable[..., Tensor], overlap: int, alike: float, dtype: torch.dtype
) -> None:
    given = draw(overlap)
    made = mixed(given, 1.2 * draw(overlap), alike).to(dtype)
    given = given.to(dtype)
    blend, ramp = blend_versions(given, made), torch.from_numpy(sigmoid_ramp(overlap))
    ratio = plainly(blend) / torch.lerp(plainly(given), plainly(made), ramp)
    assert ratio.min() >= LEAST
    assert ratio.max() <= GREATEST
    assert blend.dtype == dtype


@pytest.mark.parametrize("windows", WINDOWS)
@BOTH
def test_latents_of_one_window_and_windows_that_agree_are_as_they_were(
    draw: Callable[..., Tensor], windows: Windows, dtype: torch.dtype
) -> None:
    latents = windows[-1][1]
    first, other = draw(latents, batch=2).to(dtype), draw(latents, batch=2).to(dtype)
    alone = windows[1][0]
    parts = [(other if index else first)[:, :, start:stop] for index, (start, stop) in enumerate(windows)]
    assert torch.equal(average(windows, parts)[:, :, :alone], first[:, :, :alone])
    near = {"atol": 3 * torch.finfo(dtype).eps, "rtol": 3 * torch.finfo(dtype).eps}
    torch.testing.assert_close(average(windows, (first[:, :, a:b] for a, b in windows)), first, **near)


def test_each_of_a_batch_is_blended_as_if_it_were_alone(draw: Callable[..., Tensor]) -> None:
    """Guidance in two passes says what guidance in one does."""
    windows = WINDOWS[1]
    parts = [draw(7, batch=2) for _ in windows]
    alone = [average(windows, [part[index : index + 1] for part in parts]) for index in range(2)]
    torch.testing.assert_close(average(windows, parts), torch.cat(alone))


def test_parts_are_asked_for_one_after_the_other(draw: Callable[..., Tensor]) -> None:
    windows, asked = WINDOWS[2], []

    def say() -> Iterator[Tensor]:
        for start, stop in windows:
            part = draw(stop - start)
            asked.append(part.clone())
            yield part
            part.fill_(torch.nan)  # whoever kept it has nothing

    torch.testing.assert_close(average(windows, say()), average(windows, asked))


@BOTH
def test_channels_of_one_colour_stay_so_and_their_means_are_averaged(dtype: torch.dtype) -> None:
    windows = WINDOWS[0]
    for first, second in ((0.3, 0.3), (0.0, 0.0), (-1.0, 0.7)):
        parts = [torch.full((1, CHANNELS, 7, ROWS, COLUMNS), level).to(dtype) for level in (first, second)]
        shared = average(windows, parts)[:, :, 6]
        torch.testing.assert_close(shared, torch.full_like(shared, (first + second) / 2), atol=0.01, rtol=0)
        blend = blend_versions(*parts)[:, :, 3]
        torch.testing.assert_close(blend, torch.full_like(blend, (first + second) / 2), atol=0.01, rtol=0)


@BOTH
def test_of_a_picture_and_an_even_ground_half_is_kept(draw: Callable[..., Tensor], dtype: torch.dtype) -> None:
    picture = draw(7).to(dtype)
    whole = average(WINDOWS[0], [picture, torch.zeros_like(picture)])
    assert whole.isfinite().all()
    torch.testing.assert_close(plainly(whole)[6], plainly(picture)[6] / 2, atol=0.01, rtol=0.01)


def test_what_contradicts_each_other_is_not_stretched_beyond_reason(draw: Callable[..., Tensor]) -> None:
    picture = draw(3)
    blend = blend_versions(picture, -1.01 * picture)
    assert deviation_of(blend)[0, 1] < 0.1 * deviation_of(picture)[0, 1]
    stretched, means = with_deviation(picture, 100 * deviation_of(picture)), picture.mean((3, 4), keepdim=True)
    torch.testing.assert_close(stretched - means, MOST * (picture - means))
