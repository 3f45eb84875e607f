"""The only way on and off the device: `with residency.on_device(component)`. One at a time; memory is given back.

Carries out what the plan chose for each stage (plan/placement.py). Also the only place that turns the many spellings of
"out of memory" into ours.
"""

import gc
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

import torch
from torch import nn

from pipeline.errors import ModelUnavailable, OutOfMemory
from pipeline.gpu.attention import set_attention
from pipeline.gpu.backend import is_out_of_memory, torch_device, torch_dtype
from pipeline.gpu.held import held_here
from pipeline.gpu.interrupting import asking
from pipeline.gpu.loading import Checkpoint
from pipeline.gpu.quantization import check_room, open_quantized
from pipeline.gpu.streaming import open_streamed_encoder, stream_blocks
from pipeline.plan.combinations import NATIVE, find_obstacle
from pipeline.plan.device import Device, DeviceKind, Held
from pipeline.plan.memory import Placement, Precision, Stage
from pipeline.plan.placement import Choice
from pipeline.plan.spec import Component, ModelSpec

STAGES = MappingProxyType(
    {
        Component.TEXT_ENCODER: Stage.ENCODE,
        Component.TRANSFORMER: Stage.DENOISE,
        Component.TRANSFORMER_2: Stage.DENOISE,
        Component.VAE: Stage.DECODE,
        Component.VAE_ENCODER: Stage.DECODE,
    }
)
"""When a component is on the device."""

Form = tuple[Precision, Placement]


class Residency:
    """The weights of one checkpoint: which wait in main memory, which are on the device, and in which form.

    Args:
        spec: what the checkpoint is.
        checkpoint: where its weights are.
        device: where they compute.
    """

    def __init__(self, spec: ModelSpec, checkpoint: Checkpoint, device: Device) -> None:
        self.spec, self.checkpoint, self.device = spec, checkpoint, device
        self._choices: Mapping[Stage, Choice] = {}
        self._parked: dict[Component, tuple[Form, nn.Module]] = {}
        self._left = False  # whether something was let go that may still be there

    def follow(self, choices: Mapping[Stage, Choice]) -> None:
        """Carry out these choices from now on; what waits in another form than they say is let go.

        Raises:
            ModelUnavailable: for a choice that cannot be carried out, or quantized weights that the disk cannot keep.
        """
        for choice in choices.values():
            obstacle = find_obstacle(choice.stage, choice.precision, choice.placement)
            if obstacle:
                raise ModelUnavailable(self.spec.key, f"Rushes does not run {choice.name}: {obstacle}.")
        self._choices = choices
        for component in self.spec.networks:
            precision, _ = self._form(component)
            network = self.spec.networks[component]
            check_room(self.checkpoint, component, network, precision, torch_dtype(self.device))
        for component, (form, _) in list(self._parked.items()):
            if form != self._form(component) or not self._parks(component):
                self._let_go(component)
        self._collect()

    def place(self, component: Component) -> torch.device:
        """Where a component computes: the device, unless the processor was chosen for its stage."""
        _, placement = self._form(component)
        return torch.device("cpu") if placement is Placement.HOST else torch_device(self.device)

    def warm_up(self) -> None:
        """Read what waits between chunks, to where it does."""
        for component in self.spec.networks:
            if component is not Component.TEXT_ENCODER and self._parks(component):
                self._open(component)

    def held(self) -> Held:
        """What waits for the next draft."""
        return held_here(self.device, (module for _, module in self._parked.values()))

    @contextmanager
    def on_device(self, component: Component) -> Iterator[nn.Module]:
        """Have a component on the device, as was chosen for its stage, for the length of the block.

        Raises:
            OutOfMemory: when the device has no room for it or for what is done with it; nothing of it is held then.
        """
        stage, exhausted = STAGES[component], False
        guests: list[tuple[nn.Module, str, nn.Parameter]] = []
        try:
            with asking():
                module = self._enter(component, guests)
            yield module
        except (MemoryError, RuntimeError, OSError) as error:
            if not is_out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)  # they hold what was computed last
            exhausted = True
        finally:
            for owner, name, waiting in guests:
                owner._parameters[name] = waiting
            guests.clear()
            if not self._parks(component):
                self._let_go(component)
            self._collect()
        if exhausted:
            raise OutOfMemory(stage, "Make the picture smaller or the chunks shorter.")

    def _enter(self, component: Component, guests: list[tuple[nn.Module, str, nn.Parameter]]) -> nn.Module:
        """The component, ready to compute; `guests` is filled with what has to be put back in main memory after."""
        if component is Component.TEXT_ENCODER and not self._parks_beside_encoder():
            for other in self._parked.keys() - {component}:
                self._let_go(other)
        _, placement = self._form(component)
        module = self._open(component)
        if placement is Placement.VISITING and self._parks(component):
            _move(module, torch_device(self.device), guests)
        return module

    def _open(self, component: Component) -> nn.Module:
        """A component in its form: on the device if it is to leave from there, else where it waits."""
        if self._left:  # not before: whoever had it still held it then
            self._collect(everything=True)
        form = precision, placement = self._form(component)
        if component in self._parked:
            return self._parked[component][1]
        there = self.place(component)
        dtype = getattr(torch, precision) if precision in NATIVE else torch_dtype(self.device)
        parks = self._parks(component) and placement is not Placement.KEPT
        waits = parks and self.device.kind is DeviceKind.CUDA  # elsewhere the device's memory is main memory
        place = torch.device("cpu") if waits or placement is Placement.STREAMED else there
        if component is Component.TEXT_ENCODER and placement is Placement.STREAMED:
            module = open_streamed_encoder(self.checkpoint, component, self.spec.networks[component], dtype, there)
        elif precision in NATIVE:
            module = self.checkpoint.load(component, dtype, str(place))
        else:
            network = self.spec.networks[component]
            module = open_quantized(self.checkpoint, component, network, precision, dtype, place)
        if STAGES[component] is Stage.DENOISE:
            module = set_attention(module, self.device)
            module = stream_blocks(module, there) if placement is Placement.STREAMED else module
        self._parked[component] = form, module.eval()
        return module

    def _form(self, component: Component) -> Form:
        choice = self._choices.get(STAGES[component])
        return (choice.precision, choice.placement) if choice else (Precision(self.device.dtype), Placement.VISITING)

    def _parks(self, component: Component) -> bool:
        """Whether a component stays after its visit: in main memory, or, kept or without a card, on the device."""
        choice = self._choices.get(STAGES[component])
        if component is Component.TEXT_ENCODER:
            return choice is not None and choice.placement is Placement.KEPT
        if component is Component.VAE_ENCODER:
            return False
        return choice is None or choice.parked

    def _parks_beside_encoder(self) -> bool:
        choice = self._choices.get(Stage.ENCODE)
        return choice is None or choice.parked

    def _let_go(self, component: Component) -> None:
        self._parked.pop(component, None)
        self._left = True

    def _collect(self, *, everything: bool = False) -> None:
        """Give memory back; with `everything`, a fifth of a second, also that of modules with diffusers' hooks, which
        hold one another."""
        gc.collect(generation=2 if everything else 0)
        self._left = self._left and not everything
        if self.device.kind is DeviceKind.CUDA:
            torch.cuda.empty_cache()
        elif self.device.kind is DeviceKind.MPS:
            torch.mps.empty_cache()


def _move(module: nn.Module, place: torch.device, guests: list[tuple[nn.Module, str, nn.Parameter]]) -> None:
    """Weights to `place`, what waits for them noted in `guests`; putting that back frees the device without a copy.

    Buffers, a few kilobytes, move for good.
    """
    if place.type == "cpu":
        return
    moved: dict[int, nn.Parameter] = {}
    for owner in module.modules():
        for name, waiting in owner._parameters.items():
            if waiting is None or waiting.device.type == place.type:
                continue
            guests.append((owner, name, waiting))
            if id(waiting) not in moved:
                moved[id(waiting)] = nn.Parameter(waiting.to(place), requires_grad=False)
            owner._parameters[name] = moved[id(waiting)]
        for name, buffer in owner._buffers.items():
            if buffer is not None:
                owner._buffers[name] = buffer.to(place)
