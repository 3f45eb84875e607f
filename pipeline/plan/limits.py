"""How much memory a request may use, and how coarse its weights may become: refused where no machine has as much."""

from pipeline.errors import InvalidRequest

MOST_GIB = 4096.0  # no budget is larger
LEAST_GIB = 0.5  # a card's driver alone takes as much
LOWEST_PRECISIONS = ("bfloat16", "int8", "int4")
ENCODER_POLICIES = ("auto", "resident", "unload")


def check_limits(vram_gib: float | None, ram_gib: float | None, lowest_precision: str, encoder: str) -> None:
    """Raise InvalidRequest for a limit, a precision or an encoder's policy that cannot be."""
    for field, limit in (("vram_limit", vram_gib), ("ram_limit", ram_gib)):
        if limit is not None and not LEAST_GIB <= limit <= MOST_GIB:  # NaN is neither
            nearest = min(max(limit, LEAST_GIB), MOST_GIB) if limit == limit else LEAST_GIB
            raise InvalidRequest(
                field,
                f"A limit of {limit:g} GiB is not possible: {LEAST_GIB:g} to {MOST_GIB:g}.",
                f"Nearest: {nearest:g}.",
            )
    if lowest_precision not in LOWEST_PRECISIONS:
        raise InvalidRequest(
            "lowest_precision",
            f"{lowest_precision!r} is no precision.",
            f"Choose one of {', '.join(LOWEST_PRECISIONS)}.",
        )
    if encoder not in ENCODER_POLICIES:
        raise InvalidRequest(
            "encoder",
            f"{encoder!r} is nothing to do with a text encoder.",
            f"Choose one of {', '.join(ENCODER_POLICIES)}.",
        )
