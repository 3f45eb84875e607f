"""The machine is asked through its driver's program; one that fails or babbles means that there is no card."""

import sys
from pathlib import Path

import psutil
import pytest

from pipeline.plan import device as device_module
from pipeline.plan.device import Device, DeviceKind, probe_device
from tests.conftest import DeviceMaker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake driver is a shell script")


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where to write a fake `nvidia-smi`; the only program on PATH, so that a real one never answers."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return tmp_path / "nvidia-smi"


def say(driver: Path, script: str) -> None:
    driver.write_text(f"#!/bin/sh\n{script}\n")
    driver.chmod(0o755)


def test_a_card_is_read_from_the_driver(driver: Path) -> None:
    say(driver, "echo 'NVIDIA GeForce RTX 4070, 12282, 11021, 8.9'")
    card = probe_device()
    assert (card.kind, card.name) == (DeviceKind.CUDA, "NVIDIA GeForce RTX 4070")
    assert (card.total_bytes, card.free_bytes) == (12282 * 2**20, 11021 * 2**20)
    assert (card.compute_capability, card.dtype, card.bytes_per_weight) == ((8, 9), "bfloat16", 2)


def test_the_first_of_several_cards_is_taken(driver: Path) -> None:
    say(driver, "echo 'First, 8192, 8000, 7.5'; echo 'Second, 24564, 24000, 8.9'")
    assert probe_device().name == "First"


def test_the_card_that_cuda_would_show_first_is_asked_for(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    say(driver, 'for word in "$@"; do case $word in --id=*) echo "Card ${word#--id=}, 8192, 8000, 7.5";; esac; done')
    assert probe_device().name == "Card 2"


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_hidden_card_is_no_card(hidden: str, driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    say(driver, "echo 'Hidden, 8192, 8000, 7.5'")
    assert probe_device().kind is not DeviceKind.CUDA


def test_a_profile_without_a_card_never_asks_for_one(driver: Path) -> None:
    say(driver, f"echo asked > {driver.with_name('asked')}; echo 'Unused, 8192, 8000, 7.5'")
    assert probe_device(use_card=False).kind is DeviceKind.CPU
    assert not driver.with_name("asked").exists()


NONSENSE = [
    pytest.param("exit 9", id="fails"),
    pytest.param("echo 'NVIDIA-SMI has failed'; exit 9", id="says that it failed"),
    pytest.param("true", id="says nothing"),
    pytest.param("echo 'No devices were found'", id="finds nothing"),
    pytest.param("echo 'Card, 8192, 8000'", id="leaves a value out"),
    pytest.param("echo 'Card, 8192, 8000, 8.9, more'", id="adds a value"),
    pytest.param("echo 'Card, [N/A], [N/A], 8.9'", id="knows no memory"),
    pytest.param("echo 'Card, 8192, 8000, N/A'", id="knows no capability"),
    pytest.param(r"printf '\377\376, 8192, 8000, 8.9'", id="speaks no UTF-8"),
    pytest.param("kill -9 $$", id="crashes"),
]


@pytest.mark.parametrize("script", NONSENSE)
def test_a_driver_that_answers_nonsense_means_no_card(script: str, driver: Path) -> None:
    say(driver, script)
    assert probe_device().kind is not DeviceKind.CUDA


def test_a_driver_that_hangs_means_no_card(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "DRIVER_TIMEOUT_SECONDS", 0.2)
    say(driver, "exec /bin/sleep 30")
    assert probe_device().kind is not DeviceKind.CUDA


def test_a_driver_that_cannot_be_run_means_no_card(driver: Path) -> None:
    driver.write_text("not a program")
    driver.chmod(0o755)
    assert probe_device().kind is not DeviceKind.CUDA


def test_without_a_card_the_processor_and_main_memory_are_what_there_is(driver: Path) -> None:
    assert not driver.exists()
    host = probe_device(use_card=False)
    assert host.total_bytes == psutil.virtual_memory().total
    assert 0 < host.free_bytes <= host.total_bytes
    assert (host.dtype, host.bytes_per_weight) == ("float32", 4)


@pytest.mark.parametrize("machine", ["arm64", "x86_64"])
def test_only_an_m_series_mac_has_apple_graphics(machine: str, driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not driver.exists()
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert (probe_device().kind is DeviceKind.MPS) == (machine == "arm64")
    assert probe_device(use_card=False).kind is DeviceKind.CPU


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((12, 0), "bfloat16")])
def test_bfloat16_is_used_where_a_card_computes_in_it(
    capability: tuple[int, int], dtype: str, make_device: DeviceMaker
) -> None:
    card: Device = make_device(kind=DeviceKind.CUDA, compute_capability=capability)
    assert card.dtype == dtype
