"""The machine is asked through its driver's program; one that fails or babbles means that there is no card."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline.plan import device as device_module
from pipeline.plan.device import Device, DeviceKind, probe_device, suppose_card
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
    say(driver, "echo 'NVIDIA GeForce RTX 4070, 12282, 11021, 8.9, 550.54.14'")
    card = probe_device()
    assert (card.kind, card.name) == (DeviceKind.CUDA, "NVIDIA GeForce RTX 4070")
    assert (card.total_bytes, card.free_bytes) == (12282 * 2**20, 11021 * 2**20)
    assert (card.compute_capability, card.dtype, card.bytes_per_weight) == ((8, 9), "bfloat16", 2)
    assert (card.driver, card.supposed) == ("550.54.14", False)
    memory = psutil.virtual_memory()
    assert card.ram_total_bytes == memory.total
    assert 0 < card.ram_free_bytes <= memory.total
    assert card.disk_free_bytes > 0


def test_the_first_of_several_cards_is_taken(driver: Path) -> None:
    say(driver, "echo 'First, 8192, 8000, 7.5, 550.54'; echo 'Second, 24564, 24000, 8.9, 550.54'")
    assert probe_device().name == "First"


def test_the_card_that_cuda_would_show_first_is_asked_for(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,0")
    say(
        driver,
        'for word in "$@"; do case $word in --id=*) echo "Card ${word#--id=}, 8192, 8000, 7.5, 550.54";; esac; done',
    )
    assert probe_device().name == "Card 2"


ENTRANCES = [
    pytest.param("import app; app.main(['--help'])", id="the studio"),
    pytest.param("import pipeline.__main__ as command; command.main(['--help'])", id="the command line"),
    pytest.param("import pipeline; next(pipeline._make(None, None, None, None))", id="the package"),
]


@pytest.mark.parametrize("said", [None, "FASTEST_FIRST"])
@pytest.mark.parametrize("entrance", ENTRANCES)
def test_cuda_counts_cards_as_the_driver_does_unless_somebody_said_otherwise(entrance: str, said: str | None) -> None:
    """From before torch is loaded, whichever way one came in."""
    code = f"""
import contextlib, os, sys
class Watch:
    def find_spec(self, name, *_):
        if name == "torch":
            print(os.environ.get("CUDA_DEVICE_ORDER"), flush=True)
            os._exit(0)
sys.meta_path.insert(0, Watch())
with contextlib.suppress(SystemExit):
    {entrance}
import torch
"""
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_DEVICE_ORDER"}
    environment |= {"CUDA_DEVICE_ORDER": said} if said else {}
    heard = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert heard.stdout.splitlines()[-1] == (said or "PCI_BUS_ID")


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_a_hidden_card_is_no_card(hidden: str, driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    say(driver, "echo 'Hidden, 8192, 8000, 7.5, 550.54'")
    assert probe_device().kind is not DeviceKind.CUDA


def test_a_profile_without_a_card_never_asks_for_one(driver: Path) -> None:
    say(driver, f"echo asked > {driver.with_name('asked')}; echo 'Unused, 8192, 8000, 7.5, 550.54'")
    assert probe_device(use_card=False).kind is DeviceKind.CPU
    assert not driver.with_name("asked").exists()


NONSENSE = [
    pytest.param("exit 9", id="fails"),
    pytest.param("echo 'NVIDIA-SMI has failed'; exit 9", id="says that it failed"),
    pytest.param("echo 'Card, 8192, 8000, 8.9, 550'; exit 9", id="fails after it answered"),
    pytest.param("true", id="says nothing"),
    pytest.param("echo 'No devices were found'", id="finds nothing"),
    pytest.param("echo 'Card, 8192, 8000, 8.9'", id="leaves a value out"),
    pytest.param("echo 'Card, 8192, 8000, 8.9, 550, more'", id="adds a value"),
    pytest.param("echo 'Card, [N/A], [N/A], 8.9, 550'", id="knows no memory"),
    pytest.param("echo 'Card, 8192, [N/A], 8.9, 550'", id="knows no free memory"),
    pytest.param("echo 'Card, 8192, 8000, [N/A], 550'", id="knows no capability"),
    pytest.param("echo 'Card, 8192, 8000, 8, 550'", id="knows half a capability"),
    pytest.param("echo 'Card, 8192, 8193, 8.9, 550'", id="more free than there is"),
    pytest.param("echo 'Card, 0, 0, 8.9, 550'", id="no memory"),
    pytest.param("echo 'Card, -8192, -8192, 8.9, 550'", id="negative memory"),
    pytest.param("echo 'Card, 8192, -1, 8.9, 550'", id="negative free memory"),
    pytest.param("echo 'Card, 99999999999, 99999999999, 8.9, 550'", id="absurd memory"),
    pytest.param("echo 'Card, 8192.5, 8000, 8.9, 550'", id="a fraction of a mebibyte"),
    pytest.param("echo 'Card, nan, inf, 8.9, 550'", id="no numbers"),
    pytest.param(r"printf '\377\376, 8192, 8000, 8.9, 550'", id="speaks no UTF-8"),
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
    assert (host.ram_total_bytes, host.ram_free_bytes) == (host.total_bytes, host.free_bytes)
    assert (host.dtype, host.bytes_per_weight) == ("float32", 4)


def test_a_card_with_nothing_free_is_still_a_card(driver: Path) -> None:
    say(driver, "echo 'Card, 8192, 0, 8.9, 550'")
    assert (probe_device().kind, probe_device().free_bytes) == (DeviceKind.CUDA, 0)


@pytest.mark.parametrize("use_card", [True, False])
def test_the_disk_is_that_of_the_folder_even_if_it_is_not_there_yet(
    use_card: bool, driver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(driver, "echo 'Card, 8192, 8000, 8.9, 550'")
    asked: list[Path] = []

    def disk_usage(folder: Path) -> shutil._ntuple_diskusage:
        asked.append(folder)
        return shutil._ntuple_diskusage(total=3, used=1, free=2)

    monkeypatch.setattr("shutil.disk_usage", disk_usage)
    device = probe_device(use_card=use_card, folder=tmp_path / "not" / "yet" / "there")
    assert (device.disk_free_bytes, asked) == (2, [tmp_path])
    assert not (tmp_path / "not").exists()


def test_a_supposed_card_is_all_free_in_this_machine_s_memory_and_says_so() -> None:
    card = suppose_card(12.5)
    assert (card.kind, card.supposed) == (DeviceKind.CUDA, True)
    assert card.free_bytes == card.total_bytes == int(12.5 * 2**30)
    assert "supposed" in card.name
    assert "12.5" in card.name
    assert card.dtype == "bfloat16"
    assert card.ram_total_bytes == psutil.virtual_memory().total
    assert card.disk_free_bytes > 0


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
