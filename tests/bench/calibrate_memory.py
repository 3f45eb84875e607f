"""The constants of pipeline/plan/components.py, counted from the real classes at full size on the meta device.

    python -m tests.bench.calibrate_memory [--network LTX_2B_TRANSFORMER]

Prints the lines to paste, in seconds and without a weight. tests/plan/test_components.py keeps them true.
"""

import argparse
import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import torch

from pipeline.plan import components
from pipeline.plan.catalog import CATALOG
from pipeline.plan.networks import Autoencoder, CausalTransformer, Network, TextEncoder, Transformer
from tests import truth

SIZES = ((3, 16, 24), (5, 24, 32), (9, 32, 40))  # latents, latent rows, latent columns
LATENTS = (4, 7)  # of a decode window
TAIL_LATENTS = (2, 3)  # that frames are encoded to
AREAS = ((16, 24), (24, 32))
LONGEST_READ = 18  # latents that a causal transformer of native length is given


def text_tokens(network: Network) -> int:
    """The text length of the models that use a network."""
    return next(spec.text_tokens for spec in CATALOG.values() if network in spec.networks.values())


def line(first: tuple[int, int], second: tuple[int, int]) -> tuple[Fraction, Fraction]:
    """Intercept and slope through two points."""
    slope = Fraction(second[1] - first[1], second[0] - first[0])
    return first[1] - slope * first[0], slope


def parabola(points: list[tuple[int, int]]) -> tuple[int, ...]:
    """Whole coefficients through three points, lowest first."""
    (a, u), (b, v), (c, w) = points
    square = (Fraction(w - u, c - a) - Fraction(v - u, b - a)) / (c - b)
    linear = Fraction(v - u, b - a) - square * (a + b)
    return int(u - linear * a - square * a * a), int(linear), int(square)


def sizes(network: Network) -> dict[str, object]:
    """What is counted of any network; layers as `pipeline.plan.networks.Network` says."""
    module = truth.build(network)
    found: dict[str, object] = {"parameters": truth.count(module)}
    if network.block_list:
        layers = truth.quantizable_layers(module, network)
        blocks = list(module.get_submodule(network.block_list).children())
        found |= {
            "quantizable": sum(layer.weight.numel() for layer in layers),
            "quantizable_rows": sum(layer.out_features for layer in layers),
            "float32": truth.count_float32(module),
            "blocks": len(blocks),
            "block_parameters": max(truth.count(block) for block in blocks),
        }
    return found


def transformer_costs(network: Transformer) -> dict[str, object]:
    """Operations and bytes of a pass over a few sizes, as polynomials in the number of tokens."""
    latent_rows = 2 if network.class_name == "WanTransformer3DModel" else 1  # Wan's patches are 2 x 2 latent pixels
    points: dict[str, list[tuple[int, int]]] = {"operations": [], "pass": [], "given": []}
    for size in SIZES:
        tokens = math.prod(size) // latent_rows**2
        for name, given in (("pass", False), ("given", True)):
            run = truth.pass_of(network, size, text_tokens=text_tokens(network), given=given)
            points[name].append((tokens, truth.peak_bytes(run)))
            if not given:
                points["operations"].append((tokens, truth.operations(run)))
    return {
        "pass_operations": parabola(points["operations"]),
        "pass_bytes": tuple(round(value) for value in line(points["pass"][1], points["pass"][2])),
        "given_bytes": tuple(round(value) for value in line(points["given"][1], points["given"][2])),
    }


def causal_costs(network: CausalTransformer) -> dict[str, object]:
    """The same of a block that sees nothing, and of reading; by tokens, in blocks of as many latents as usual."""
    config = truth.build(network).config
    latents, patch = max(config.chunk_partition), math.prod(config.patch_size)
    points: dict[str, list[tuple[int, int]]] = {"operations": [], "pass": [], "given": []}
    kept = set()
    for _, *area in SIZES:
        block = truth.BlockByBlock(network, (latents, *area), text_tokens=text_tokens(network))
        tokens = latents * math.prod(area) // patch
        points["operations"].append((tokens, truth.operations(block.denoise)))
        points["pass"].append((tokens, truth.peak_bytes(block.denoise)))
        reading = truth.peak_bytes(partial(block.read, latents))
        points["given"].append((tokens, reading - block.kept_bytes()))
        kept.add(block.kept_bytes() // tokens)
    (kept_bytes,) = kept
    return {
        "pass_operations": parabola(points["operations"]),
        "pass_bytes": tuple(round(value) for value in line(points["pass"][1], points["pass"][2])),
        "given_bytes": tuple(round(value) for value in line(points["given"][1], points["given"][2])),
        "whole_blocks": config.full_chunk_limit - 1,
        "compression": math.prod(config.compressed_patch_size) // patch,
        "kept_bytes": kept_bytes,
    }


def causal(network: Network) -> bool:
    """Whether a decoder goes from window to window with a cache."""
    return network.class_name == "AutoencoderKLWan"


def autoencoder_costs(network: Autoencoder) -> dict[str, object]:
    """Operations and bytes of a window: by pixels, by latents, by pixels squared (attention within a frame)."""
    side = truth.pixels_per_latent(network)

    def pixels(area: tuple[int, int]) -> int:
        return area[0] * area[1] * side**2

    p, q = (pixels(area) for area in AREAS)

    def costs(kind: str, run_of: Callable[..., Callable[[], object]], latents: tuple[int, int]) -> dict[str, object]:
        def points(area: tuple[int, int], count: Callable[[Callable[[], object]], int]) -> list[tuple[int, int]]:
            return [(n, count(run_of(network, latents=n, height=area[0], width=area[1]))) for n in latents]

        small, large = (line(*points(area, truth.operations)) for area in AREAS)
        square = (large[1] / q - small[1] / p) / (q - p)
        operations = large[0] / q, large[1] / q - square * q, square
        live = line(*points(AREAS[1], truth.peak_bytes))
        return {
            f"{kind}_operations": tuple(float(round(value, 6)) for value in operations),
            f"{kind}_bytes": tuple(float(round(value / q, 3)) for value in live),
        }

    return {
        "decoder_parameters": truth.count_decoder(truth.build(network)),
        **costs("decode", truth.decode_of, LATENTS),
        **costs("encode", truth.encode_frames_of, TAIL_LATENTS),
        "cache_bytes": truth.cache_bytes(network, height=AREAS[0][0], width=AREAS[0][1]) / p
        if causal(network)
        else 0.0,
    }


def text_costs(network: TextEncoder) -> dict[str, object]:
    """Operations and bytes of one sentence at full length."""
    run = truth.encode_of(network, tokens=text_tokens(network))
    return {"operations": truth.operations(run), "live_bytes": truth.peak_bytes(run)}


def float32_scale(network: Network) -> float:
    """Live bytes in float32 over live bytes in bfloat16, at one size."""
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        match network:
            case CausalTransformer():
                block = truth.BlockByBlock(network, (3, 24, 32), text_tokens=text_tokens(network), dtype=dtype)
                run = partial(block.read, LONGEST_READ)
            case Transformer():
                run = truth.pass_of(network, SIZES[1], text_tokens=text_tokens(network), dtype=dtype)
            case Autoencoder():
                run = truth.decode_of(network, latents=LATENTS[1], height=16, width=24, dtype=dtype)
            case _:
                run = truth.encode_of(network, tokens=text_tokens(network), dtype=dtype)
        found.append(truth.peak_bytes(run))
    return round(found[0] / found[1], 3)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", help="one name in pipeline/plan/components.py; all if not given")
    wanted = parser.parse_args().network
    for name, network in vars(components).items():
        if not isinstance(network, Network) or wanted not in (None, name):
            continue
        found = sizes(network)
        match network:
            case CausalTransformer():
                found |= causal_costs(network)
            case Transformer():
                found |= transformer_costs(network)
            case Autoencoder():
                found |= autoencoder_costs(network)
            case TextEncoder():
                found |= text_costs(network)
        found["float32_scale"] = float32_scale(network)
        print(name)
        for key, value in found.items():
            print(f"    {key}={value!r},", flush=True)


if __name__ == "__main__":
    main()
