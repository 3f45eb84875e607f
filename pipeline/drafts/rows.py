"""A line of a draft's journal as the event that it notes; one that is none, whoever wrote it, counts as torn."""

import json
from typing import Any, get_args, get_type_hints

from pipeline.events import Event

FIELDS = {kind.__name__: get_type_hints(kind) for kind in get_args(Event)}
MOST = 2**63  # of any number in a row, the bytes of a card among them


def read_row(line: bytes) -> dict[str, Any] | None:
    """An event's name as `event`, and of its fields those that the line has, each of its type; None for a torn one.

    Events and fields of another version are there as they are.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("event"), str):
        return None
    hints = FIELDS.get(row["event"], {})
    return row if all(_fits(value, hints[name]) for name, value in row.items() if name in hints) else None


def _fits(value: object, hint: Any) -> bool:
    """Whether a value is of a field's type, as JSON has it; a number must be one that can be reckoned with."""
    kinds = get_args(hint) or (hint,)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (type(value) in kinds or float in kinds) and abs(value) < MOST
    return type(value) in kinds
