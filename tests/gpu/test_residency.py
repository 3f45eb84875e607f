"""On the device for the length of a block, in the form that was chosen, and gone after it."""

import gc
import weakref
from contextlib import suppress

import pytest
import torch
from torch import nn

from pipeline.errors import ModelUnavailable, OutOfMemory, StopRequested
from pipeline.gpu import residency as residency_module
from pipeline.gpu.loading import find_checkpoint
from pipeline.gpu.residency import Residency, _move
from pipeline.plan.catalog import MINIATURE
from pipeline.plan.device import DeviceKind
from pipeline.plan.memory import Placement, Precision, Stage
from pipeline.plan.spec import Component
from tests.conftest import DeviceMaker
from tests.tiny import choose

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def residency(make_device: DeviceMaker) -> Residency:
    return Residency(MINIATURE, find_checkpoint(MINIATURE), make_device())


def test_running_out_of_memory_is_one_error_that_names_the_stage(residency: Residency) -> None:
    with pytest.raises(OutOfMemory, match=r"busy with decode\..*smaller") as told, residency.on_device(Component.VAE):
        raise RuntimeError("CUDA error: out of memory")
    assert told.value.stage == Stage.DECODE


@pytest.mark.fault(6)
def test_what_was_computed_when_memory_ran_out_is_let_go(residency: Residency) -> None:
    """Although the error is still held: whoever tries again in the `except` block has the memory."""
    seen: list[weakref.ref[torch.Tensor]] = []

    def compute() -> None:
        result = torch.ones(1000)
        seen.append(weakref.ref(result))
        raise torch.OutOfMemoryError

    gc.disable()
    try:
        with pytest.raises(OutOfMemory) as told, residency.on_device(Component.VAE):
            compute()
        assert told.value is not None
        assert seen[0]() is None
    finally:
        gc.enable()


def test_a_component_that_is_itself_too_large_is_out_of_memory_too(
    residency: Residency, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object) -> nn.Module:
        raise MemoryError

    monkeypatch.setattr(type(residency.checkpoint), "load", load)
    with pytest.raises(OutOfMemory, match="encode"), residency.on_device(Component.TEXT_ENCODER):
        pytest.fail("nothing was loaded")


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not match"), ValueError("memory"), StopRequested()], ids=repr
)
def test_other_errors_pass_as_they_are(residency: Residency, error: Exception) -> None:
    with pytest.raises(type(error)) as told, residency.on_device(Component.TRANSFORMER):
        raise error
    assert told.value is error


@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
@pytest.mark.parametrize(
    ("component", "stays"), [(Component.TEXT_ENCODER, False), (Component.TRANSFORMER, True), (Component.VAE, True)]
)
def test_the_text_encoder_is_gone_after_the_block_and_the_others_wait(
    residency: Residency, component: Component, stays: bool, fails: bool
) -> None:
    seen: list[weakref.ref[nn.Module]] = []

    def use() -> None:
        with residency.on_device(component) as module:
            assert not module.training
            seen.append(weakref.ref(module))
            if fails:
                raise ValueError

    gc.disable()  # what is gone is gone by itself, not at the collector's leisure
    try:
        with suppress(ValueError):
            use()
        assert (seen[0]() is not None) is stays
        with residency.on_device(component) as again:
            assert (seen[0]() is again) is stays
    finally:
        gc.enable()


@pytest.mark.parametrize("component", [Component.TRANSFORMER, Component.VAE])
def test_what_does_not_wait_in_main_memory_is_loaded_anew(residency: Residency, component: Component) -> None:
    residency.follow(choose(residency.device, Stage.DENOISE, Stage.DECODE, parked=False))
    seen: list[weakref.ref[nn.Module]] = []
    for _ in range(2):
        with residency.on_device(component) as module:
            seen.append(weakref.ref(module))
        del module
    assert [one() for one in seen] == [None, None]


def test_a_text_encoder_that_is_kept_is_there_for_the_next_sentence(residency: Residency) -> None:
    residency.follow(choose(residency.device, Stage.ENCODE, placement=Placement.KEPT))
    with residency.on_device(Component.TEXT_ENCODER) as first:
        pass
    with residency.on_device(Component.TEXT_ENCODER) as second:
        assert second is first
    kept = weakref.ref(first)
    del first, second
    residency.follow(choose(residency.device))
    assert kept() is None


@pytest.mark.parametrize("beside", [True, False], ids=["room", "no-room"])
def test_what_waits_makes_room_for_the_text_encoder_where_it_was_planned_so(residency: Residency, beside: bool) -> None:
    residency.follow(choose(residency.device, Stage.ENCODE, parked=beside))
    with residency.on_device(Component.TRANSFORMER) as module:
        waiting = weakref.ref(module)
    del module
    with residency.on_device(Component.TEXT_ENCODER):
        assert (waiting() is not None) is beside


def test_warming_up_reads_what_will_wait_and_nothing_else(residency: Residency) -> None:
    residency.warm_up()
    assert set(residency._parked) == {Component.TRANSFORMER, Component.VAE}
    residency.follow(choose(residency.device, Stage.DENOISE, parked=False))
    assert set(residency._parked) == {Component.VAE}
    residency.warm_up()
    assert set(residency._parked) == {Component.VAE}


def test_another_form_takes_the_place_of_the_one_before(residency: Residency) -> None:
    residency.warm_up()
    before = weakref.ref(residency._parked[Component.TRANSFORMER][1])
    vae = residency._parked[Component.VAE][1]
    residency.follow(choose(residency.device, Stage.DENOISE, precision=Precision.INT8))
    assert before() is None
    assert residency._parked[Component.VAE][1] is vae


@pytest.mark.parametrize(
    ("stage", "precision", "placement", "why"),
    [
        (Stage.DENOISE, Precision.INT8, Placement.STREAMED, "do not move block by block"),
        (Stage.ENCODE, Precision.FP8, Placement.VISITING, "T5"),
        (Stage.DECODE, Precision.INT8, Placement.VISITING, "VAE"),
        (Stage.DECODE, Precision.FLOAT32, Placement.STREAMED, "no blocks"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_with_its_reason_before_anything_is_read(
    residency: Residency, stage: Stage, precision: Precision, placement: Placement, why: str
) -> None:
    with pytest.raises(ModelUnavailable, match=why):
        residency.follow(choose(residency.device, stage, precision=precision, placement=placement))
    assert not residency._parked


@pytest.mark.gpu
def test_a_card_is_as_empty_after_the_block_as_before(make_device: DeviceMaker) -> None:
    residency = Residency(MINIATURE, find_checkpoint(MINIATURE), make_device(kind=DeviceKind.CUDA))
    residency.warm_up()
    before = torch.cuda.memory_allocated()
    for _ in range(2):
        with residency.on_device(Component.TRANSFORMER) as module:
            assert {p.device.type for p in module.parameters()} == {"cuda"}
            assert torch.cuda.memory_allocated() > before
        assert {p.device.type for p in module.parameters()} == {"cpu"}
        assert torch.cuda.memory_allocated() <= before + 2**20  # buffers


def test_weights_visit_without_a_copy_back_and_what_is_shared_stays_shared() -> None:
    """To the meta device, as no card is needed for that."""
    module = nn.ModuleDict({"one": nn.Linear(2, 2), "other": nn.Linear(2, 2, bias=False), "norm": nn.BatchNorm1d(2)})
    module["other"].weight = module["one"].weight
    before = dict(module.named_parameters(remove_duplicate=False))
    guests: list[tuple[nn.Module, str, nn.Parameter]] = []
    _move(module, torch.device("meta"), guests)
    assert {tensor.device.type for tensor in (*module.parameters(), *module.buffers())} == {"meta"}
    assert module["other"].weight is module["one"].weight
    for owner, name, waiting in guests:
        owner._parameters[name] = waiting
    assert all(tensor is before[name] for name, tensor in module.named_parameters(remove_duplicate=False))


def test_the_encoder_s_bytes_are_gone_before_the_transformer_s_arrive(
    residency: Residency, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights, each followed by a weak reference: whoever loads next finds none of them."""
    with residency.on_device(Component.TEXT_ENCODER) as encoder:
        weights = [weakref.ref(parameter) for parameter in encoder.parameters()]
    del encoder
    alive: list[int] = []
    load = type(residency.checkpoint).load

    def watched(*arguments: object) -> nn.Module:
        alive.append(sum(ref() is not None for ref in weights))
        return load(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(type(residency.checkpoint), "load", watched)
    gc.disable()
    try:
        with residency.on_device(Component.TRANSFORMER):
            assert alive == [0]
    finally:
        gc.enable()


def test_what_the_processor_is_to_run_stays_in_main_memory_and_computes_there(make_device: DeviceMaker) -> None:
    """On a machine with a card, which is not asked."""
    card = make_device(kind=DeviceKind.CUDA)
    residency = Residency(MINIATURE, find_checkpoint(MINIATURE), card)
    host = {"placement": Placement.HOST, "parked": False}
    residency.follow(choose(card, Stage.DECODE, precision=Precision.FLOAT32, **host))
    assert residency.place(Component.VAE).type == "cpu"
    assert residency.place(Component.TRANSFORMER).type == "cuda"
    with residency.on_device(Component.VAE) as vae:
        assert {(weight.device.type, weight.dtype) for weight in vae.parameters()} == {("cpu", torch.float32)}
    assert not residency._parked


@pytest.mark.parametrize(
    ("kind", "place"), [(DeviceKind.MPS, "meta"), (DeviceKind.CUDA, "cpu"), (DeviceKind.CPU, "cpu")]
)
def test_only_beside_a_card_do_weights_wait_apart_from_where_they_compute(
    kind: DeviceKind, place: str, make_device: DeviceMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apple's graphics compute in main memory, where a copy would be the same weights twice. The meta device stands for
    what is not here."""
    read, emptied = list[nn.Module](), list[DeviceKind]()

    def load(_: object, __: Component, dtype: torch.dtype, place: str = "cpu") -> nn.Module:
        read.append(nn.Linear(2, 2, device=place, dtype=dtype))
        return read[-1]

    elsewhere = torch.device("cpu" if kind is DeviceKind.CPU else "meta")
    monkeypatch.setattr(residency_module, "torch_device", lambda _: elsewhere)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(DeviceKind.CUDA))
    monkeypatch.setattr(torch.mps, "empty_cache", lambda: emptied.append(DeviceKind.MPS))
    residency = Residency(MINIATURE, find_checkpoint(MINIATURE), make_device(kind=kind))
    monkeypatch.setattr(type(residency.checkpoint), "load", load)
    residency.warm_up()
    weights = [parameter for module in read for parameter in module.parameters()]
    for component in (Component.TRANSFORMER, Component.VAE) * 2:
        with residency.on_device(component) as module:
            assert {parameter.device for parameter in module.parameters()} == {elsewhere}
            there = {id(parameter) for parameter in module.parameters()} <= {id(parameter) for parameter in weights}
            assert there is (kind is not DeviceKind.CUDA), "no copy beside what waits"
    assert len(read) == 2, "read once"
    assert {parameter.device.type for module in read for parameter in module.parameters()} == {place}
    assert set(emptied) == {kind} - {DeviceKind.CPU}
