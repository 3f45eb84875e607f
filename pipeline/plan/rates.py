"""How fast a device computes and moves bytes: measured by `doctor`, else guessed from its name."""

import re
from dataclasses import dataclass

from pipeline.plan.device import Device, DeviceKind

# Dense 16-bit operations a second from NVIDIA's data sheets (float32 accumulation), by what the driver calls the card;
# the first that fits wins.
CARDS = {
    "H200": 989e12,
    "H100": 989e12,
    "B200": 2250e12,
    "H20": 148e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "RTX 5090": 209e12,
    "RTX 5080": 112e12,
    "RTX 5070 Ti": 87e12,
    "RTX 5070": 61e12,
    "RTX 5060": 47e12,
    "RTX 4090": 165e12,
    "RTX 4080": 97e12,
    "RTX 4070 Ti": 80e12,
    "RTX 4070": 58e12,
    "RTX 4060": 30e12,
    "RTX 3090": 71e12,
    "RTX 3080": 59e12,
    "RTX 3070": 40e12,
    "RTX 3060": 25.5e12,
    "RTX 3050": 18e12,
    "RTX 2080": 43e12,
    "RTX 2070": 30e12,
    "RTX 2060": 26e12,
    "T4": 65e12,
}
UNKNOWN_CARD = 25.5e12  # as an RTX 3060
MPS_OPERATIONS = 10e12  # an M2 Pro's 16-bit peak is about 13.6e12; others differ, hence the wide band
CORE_OPERATIONS = 1.0e11  # float32 peak of one AVX-512 core at 2.5 GHz: 160e9; matmul reaches about 0.6 of it
BUS_BYTES_PER_SECOND = 12e9  # pinned, PCIe 3 x16 or 4 x8; 25e9 on PCIe 4 x16
DISK_BYTES_PER_SECOND = 1.0e9  # an ordinary NVMe disk, read once


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a device reaches on large pieces of work.

    `operations_per_second` of a large matrix product in the precision it computes in, `bus_bytes_per_second` from main
    memory to the card, `disk_bytes_per_second` reading.
    """

    operations_per_second: float
    bus_bytes_per_second: float
    disk_bytes_per_second: float
    measured: bool

    @property
    def sane(self) -> bool:
        """Whether these can be a machine's: nothing negative, nothing beyond any computer there is."""
        values = (self.operations_per_second, self.bus_bytes_per_second, self.disk_bytes_per_second)
        return all(1e6 < value < 1e17 for value in values)


def guess_rates(device: Device) -> Rates:
    """Rates of a device nobody measured."""
    match device.kind:
        case DeviceKind.CUDA:
            operations = next(
                (rate for name, rate in CARDS.items() if re.search(rf"{name}\b", device.name)), UNKNOWN_CARD
            )
        case DeviceKind.MPS:
            operations = MPS_OPERATIONS
        case DeviceKind.CPU:
            operations = CORE_OPERATIONS * device.cores
    return Rates(
        operations_per_second=operations,
        bus_bytes_per_second=BUS_BYTES_PER_SECOND,
        disk_bytes_per_second=DISK_BYTES_PER_SECOND,
        measured=False,
    )
