"""How fast a device computes and moves bytes: measured by `doctor`, else guessed from its name."""

import re
from dataclasses import dataclass

from pipeline.plan.device import Device, DeviceKind

# Dense 16-bit matrix operations a second with float32 accumulation, by what the driver calls a card; the first name
# that fits wins, so a longer one stands before its beginning. Cards for servers: NVIDIA's data sheets, as other
# projects quote them (Lightning's fabric/utilities/throughput.py, verl's utils/flops_counter.py).
SERVER_CARDS = {
    "H200": 989e12,  # 1,979 with sparsity, halved
    "H100 PCIe": 756e12,  # 1,513, halved
    "H100": 989e12,  # SXM: 1,979, halved
    "B200": 2250e12,  # eight in an HGX B200: 36,000 with sparsity
    "H20": 148e12,  # not checked against a sheet of NVIDIA's: verl's figure
    "A100": 312e12,
    "L40S": 362e12,  # 362.05; the sheet does not say what it is accumulated in
    "L40": 181e12,  # 181.05
    "T4": 65e12,
}
# GeForce cards, in multiprocessors and MHz of boost: each multiprocessor does GEFORCE_OPERATIONS a clock, half of what
# it does with float16 accumulation. NVIDIA's architecture whitepapers print the product for the RTX 2080 Ti (Turing:
# 53.8e12), 3090 (Ampere: 71e12), 4090 (Ada: 165.2e12) and 5090 (Blackwell: 209.5e12). Counts and clocks of the other
# Ampere and Ada cards: llm.c's llmc/mfu.h at 0e69e3a; of the other Turing and Blackwell cards and the RTX 3050: reviews
# and tables of other people, not checked against NVIDIA. A laptop's card is slower than its namesake.
GEFORCE_OPERATIONS = 512
GEFORCE_CARDS = {
    "RTX 5090": (170, 2407),
    "RTX 5080": (84, 2620),
    "RTX 5070 Ti": (70, 2450),
    "RTX 5070": (48, 2510),
    "RTX 5060 Ti": (36, 2572),
    "RTX 5060": (30, 2497),
    "RTX 4090": (128, 2520),
    "RTX 4080 SUPER": (80, 2550),
    "RTX 4080": (76, 2505),
    "RTX 4070 Ti SUPER": (66, 2610),
    "RTX 4070 Ti": (60, 2610),
    "RTX 4070 SUPER": (56, 2475),
    "RTX 4070": (46, 2475),
    "RTX 4060 Ti": (34, 2535),
    "RTX 4060": (24, 2460),
    "RTX 3090 Ti": (84, 1860),
    "RTX 3090": (82, 1695),
    "RTX 3080 Ti": (80, 1665),
    "RTX 3080": (68, 1710),
    "RTX 3070 Ti": (48, 1770),
    "RTX 3070": (46, 1725),
    "RTX 3060 Ti": (38, 1665),
    "RTX 3060": (28, 1777),
    "RTX 3050": (20, 1777),  # with 8 GB
    "RTX 2080 Ti": (68, 1545),
    "RTX 2080": (46, 1710),
    "RTX 2070": (36, 1620),
    "RTX 2060": (30, 1680),
}
CARDS = SERVER_CARDS | {
    name: GEFORCE_OPERATIONS * processors * megahertz * 1e6 for name, (processors, megahertz) in GEFORCE_CARDS.items()
}
UNKNOWN_CARD = 25.5e12  # as an RTX 3060
MPS_OPERATIONS = 6.8e12  # an M2 Pro with 19 cores of 128 lanes at 1.4 GHz, 16 bits as fast as 32; an M2 does 3.6e12
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
