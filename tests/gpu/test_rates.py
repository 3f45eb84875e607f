"""Rates are what the device reaches now; what cannot be measured keeps its guess, and nothing stays on the disk."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pipeline.gpu import rates
from pipeline.gpu.rates import measure_rates
from pipeline.plan.device import DeviceKind, probe_device, suppose_card
from pipeline.plan.rates import guess_rates
from tests.conftest import DeviceMaker


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small products and a small file, for tests that look at something else."""
    monkeypatch.setattr(rates, "SIDES", dict.fromkeys(DeviceKind, (64,)))
    monkeypatch.setattr(rates, "PRODUCTS_SECONDS", 0.0)
    monkeypatch.setattr(rates, "FILE_BYTES", 2**24)


def test_the_processor_is_measured(make_device: DeviceMaker, tmp_path: Path) -> None:
    device = make_device()
    measured = measure_rates(device, tmp_path / "new" / "folder")
    assert measured.measured
    assert measured.sane
    assert measured.operations_per_second > 1e9
    assert measured.operations_per_second != guess_rates(device).operations_per_second
    assert measured.bus_bytes_per_second == guess_rates(device).bus_bytes_per_second
    assert list((tmp_path / "new" / "folder").iterdir()) == []


@pytest.mark.usefixtures("quick")
@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the page cache cannot be told to forget a file")
def test_the_disk_is_measured_without_the_page_cache(
    make_device: DeviceMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten = []
    monkeypatch.setattr(os, "posix_fadvise", lambda *given: forgotten.append(given[1:]))
    device = make_device()
    disk = measure_rates(device, tmp_path).disk_bytes_per_second
    assert forgotten == [(0, 0, os.POSIX_FADV_DONTNEED)]
    assert disk != guess_rates(device).disk_bytes_per_second


@pytest.mark.usefixtures("quick")
def test_where_the_page_cache_cannot_be_emptied_the_disk_keeps_its_guess(
    make_device: DeviceMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    device = make_device()
    assert measure_rates(device, tmp_path).disk_bytes_per_second == guess_rates(device).disk_bytes_per_second


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("free", [0, 2**25], ids=["none", "32 MiB"])
def test_a_disk_that_is_nearly_full_is_left_alone(
    make_device: DeviceMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=2**40, used=2**40 - free, free=free))
    monkeypatch.setattr(os, "fsync", lambda _: pytest.fail("written to"))
    device = make_device()
    assert measure_rates(device, tmp_path).disk_bytes_per_second == guess_rates(device).disk_bytes_per_second


@pytest.mark.usefixtures("quick")
def test_a_disk_that_refuses_keeps_its_guess_and_nothing(
    make_device: DeviceMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    device = make_device()
    assert measure_rates(device, tmp_path).disk_bytes_per_second == guess_rates(device).disk_bytes_per_second
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_folder_that_is_a_file_keeps_the_guess(make_device: DeviceMaker, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("I am a file")
    device = make_device()
    measured = measure_rates(device, tmp_path / "file")
    assert measured.disk_bytes_per_second == guess_rates(device).disk_bytes_per_second
    assert measured.measured


@pytest.mark.usefixtures("quick")
def test_an_interruption_leaves_nothing_behind(
    make_device: DeviceMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        measure_rates(make_device(), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_a_product_too_large_for_memory_leaves_the_smaller_one_s_rate(
    make_device: DeviceMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "SIDES", {DeviceKind.CPU: (64, 2**23)})  # a matrix of 256 TiB
    assert measure_rates(make_device(), tmp_path).sane


@pytest.mark.usefixtures("quick")
def test_a_slow_device_is_not_given_larger_products(
    make_device: DeviceMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = []
    monkeypatch.setattr(rates, "SIDES", {DeviceKind.CPU: (64, 128, 256)})
    monkeypatch.setattr(rates, "_product_seconds", lambda _, side: sides.append(side) or side / 500)
    assert measure_rates(make_device(), tmp_path).operations_per_second == pytest.approx(2 * 128**3 / 0.256)
    assert sides == [64, 128]


def test_a_card_that_is_not_there_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not there"):
        measure_rates(suppose_card(24), tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch can use a card here")
def test_a_card_that_torch_cannot_use_is_torch_s_error(make_device: DeviceMaker, tmp_path: Path) -> None:
    with pytest.raises((RuntimeError, AssertionError)):
        measure_rates(make_device(24.0, DeviceKind.CUDA), tmp_path)


@pytest.mark.gpu
def test_a_card_is_measured_and_left_empty(tmp_path: Path) -> None:
    before = torch.cuda.memory_allocated()
    measured = measure_rates(probe_device(), tmp_path)
    assert measured.sane
    assert measured.operations_per_second > 1e12
    assert 1e9 < measured.bus_bytes_per_second < 1e12
    assert torch.cuda.memory_allocated() == before
    assert list(tmp_path.iterdir()) == []
