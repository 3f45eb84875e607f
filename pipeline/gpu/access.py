"""Whether torch can compute on the device that the driver names, and what to do where it cannot."""

import re
from collections.abc import Iterable

import torch

from pipeline.plan.device import Device, DeviceKind

INSTALL = "Install the build for your CUDA: https://pytorch.org/get-started/locally/ prints the command."


def find_obstacle(device: Device) -> str:
    """A sentence or two on why torch cannot compute on the device; empty where it can."""
    name = f"torch {torch.__version__}"
    if device.kind is DeviceKind.MPS and not torch.backends.mps.is_available():
        return f"{name} cannot use Apple's graphics: install Python and torch for arm64, on macOS 14 or newer."
    if device.kind is not DeviceKind.CUDA:
        return ""
    if not torch.version.cuda:
        return f"{name} is built for processors only and cannot use the {device.name}. {INSTALL}"
    if not torch.cuda.is_available():
        return (
            f"{name} is built for CUDA {torch.version.cuda} and does not find the {device.name}: update the driver "
            f"({device.driver or 'unknown'} now) and restart, or take an older build. {INSTALL}"
        )
    capability = device.compute_capability or (0, 0)
    if not has_kernels(torch.cuda.get_arch_list(), capability):
        return (
            f"{name} is not built for compute capability {capability[0]}.{capability[1]}, which the {device.name} has: "
            f"take a build that is. {INSTALL}"
        )
    return ""


def find_overlooked_card(device: Device) -> str:
    """The name of a card that torch can use although the driver's command did not name one; empty where none is."""
    if device.kind is DeviceKind.CPU and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return ""


def has_kernels(built_for: Iterable[str], capability: tuple[int, int]) -> bool:
    """Whether a build of torch for `sm_80`, `compute_90` and the like runs on a card of some compute capability.

    Machine code runs on its own major version from its minor version upwards, with an `a` on its own version only,
    intermediate code on anything newer (CUDA C++ Programming Guide, "Application Compatibility" and "Feature
    Availability"). Where nothing is known it is taken to run.
    """
    matches = [re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", name) for name in built_for]
    builds = [(match[1], match[4], (int(match[2]), int(match[3]))) for match in matches if match]
    return not builds or any(
        built == capability
        or (suffix != "a" and built < capability and (kind == "compute" or built[0] == capability[0]))
        for kind, suffix, built in builds
    )
