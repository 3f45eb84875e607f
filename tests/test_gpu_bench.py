"""The card's benchmark on the processor: every way of running a stage, the tables, and what goes wrong in a row."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from pipeline.plan import catalog
from pipeline.plan.catalog import CATALOG, LTX_2B, MINIATURE, WAN_5B, WAN_A14B
from pipeline.plan.device import Device, DeviceKind
from pipeline.plan.draft import DraftPlan
from pipeline.plan.memory import CARD_CONTEXT_BYTES, Placement, Precision, Stage
from tests.bench.gpu import __main__ as command
from tests.bench.gpu import bench as bench_module
from tests.bench.gpu.bench import Bench
from tests.bench.gpu.process import FAILED, Figures, Job, RowProcesses, Task
from tests.bench.gpu.rows import CARDS, GIB, PEERS, Row, cap_bytes, forecast_bytes, make_plan, sees_both_experts, stages_of
from tests.bench.gpu.table import CARD_COLUMNS, PEER_COLUMNS
from tests.conftest import DeviceMaker

ROW = Row(model="miniature", width=128, height=96, frames=97, steps=2)
LTX, WAN = (Row(model=key, width=0, height=0, frames=0, steps=2) for key in ("ltx-2b", "wan-5b"))
EIGHT = replace(ROW, card_gib=8)
RATES = {"operations_per_second": 1e12, "bus_bytes_per_second": 1e10, "disk_bytes_per_second": 1e9, "measured": True}


@pytest.fixture
def device(make_device: DeviceMaker) -> Device:
    return make_device(gib=64.0)


@pytest.fixture
def card(make_device: DeviceMaker) -> Device:
    return make_device(139.0, DeviceKind.CUDA, ram_gib=128.0)
