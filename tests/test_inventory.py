"""How models fit a device: as they are, with coarser weights, in a smaller draft, or not at all."""

from pathlib import Path

import pytest

from pipeline.drafts.measurements import Measurements
from pipeline.errors import DoesNotFit
from pipeline.inventory import Entry, Fit, take_inventory
from pipeline.plan.catalog import CATALOG
from pipeline.plan.device import DeviceKind
from pipeline.plan.presets import find_profile
from tests.conftest import DeviceMaker


@pytest.fixture
def entries(make_device: DeviceMaker, tmp_path: Path) -> dict[str, Entry]:
    """On a card with 12 GB in a machine with 64."""
    device = make_device(12.0, DeviceKind.CUDA, ram_gib=64.0)
    found = take_inventory(device, find_profile("auto"), Measurements(tmp_path), {})
    return {entry.installation.spec.key: entry for entry in found}


def test_every_model_is_told_in_the_catalogs_order(entries: dict[str, Entry]) -> None:
    assert list(entries) == list(CATALOG)
    assert entries["miniature"].installation.usable


def test_a_model_that_fits_in_16_bits_is_whole(entries: dict[str, Entry]) -> None:
    assert entries["miniature"].fit is Fit.WHOLE
    assert entries["ltx-2b"].fit is Fit.WHOLE


def test_8_bit_weights_in_any_stage_are_told(make_device: DeviceMaker, tmp_path: Path) -> None:
    device = make_device(4.0, DeviceKind.CUDA, ram_gib=16.0)
    found = take_inventory(device, find_profile("auto"), Measurements(tmp_path), {})
    (entry,) = (entry for entry in found if entry.installation.spec.key == "ltx-2b")
    assert entry.fit is Fit.COARSER
    assert entry.plan


def test_what_does_not_fit_says_so_and_what_would(make_device: DeviceMaker, tmp_path: Path) -> None:
    device = make_device(2.5, DeviceKind.CUDA, ram_gib=8.0)
    found = take_inventory(device, find_profile("auto"), Measurements(tmp_path), {})
    by_key = {entry.installation.spec.key: entry for entry in found}
    giant, small = by_key["wan-a14b"], by_key["anyflow-1.3b"]
    assert (giant.fit, giant.plan, giant.nearest) == (Fit.NOT, None, None)  # what its refusal offers is another model
    assert isinstance(giant.refusal, DoesNotFit)
    assert giant.refusal.changes
    assert (small.fit, small.plan) == (Fit.SMALLER, None)
    assert small.nearest
    assert small.nearest.request.model == "anyflow-1.3b"
