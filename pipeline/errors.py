"""Every error a person can see. The message says what was asked and what is legal, the hint what to do.

* DraftError               shown to the person as written; anything else is a bug
  x InvalidRequest         field                          raised by plan/, before a weight moves
    + PresetError          file                           a TOML file in presets/ that cannot be read
  x DoesNotFit             stage, need_bytes, budget_bytes, where, changes
  x ModelUnavailable       model                          missing, partial or unreadable weights
  x OutOfMemory            stage, plan                    found in gpu/residency.py and making.py only
  x WriteFailed            path                           drafts folder, mp4, ffmpeg
  x DraftsInUse            path                           another Rushes works on this drafts folder
* StopRequested            control flow, not an error
"""

import typing


def say_bytes(count: int) -> str:
    """For people: `412 MiB`, `9.1 GiB`."""
    return f"{count / 2**20:.0f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"


class DraftError(Exception):
    """Something a person should read.

    Args:
        message: one sentence with the values involved.
        hint: what to do about it; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InvalidRequest(DraftError):
    """A request that no machine could carry out; `field` names the control it belongs to."""

    def __init__(self, field: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.field = field


class PresetError(InvalidRequest):
    """A preset file with an unknown key, a wrong type or a value off its model's grid."""

    def __init__(self, file: str, key: str, message: str) -> None:
        super().__init__("profile", f"{file}: {key}: {message}")
        self.file = file


class DoesNotFit(DraftError):
    """A request that needs more memory or disk than there is or than is allowed, found before anything is loaded.

    `where` is what is too small; `changes` are requests that would fit, the one that loses least first.
    """

    def __init__(
        self,
        stage: str,
        need_bytes: int,
        budget_bytes: int,
        hint: str = "",
        *,
        where: str = "the card",
        changes: tuple[typing.Any, ...] = (),
    ) -> None:
        who = stage if where == "disk" else f"{stage} stage"
        super().__init__(
            f"The {who} needs about {say_bytes(need_bytes)} of {where} and {say_bytes(budget_bytes)} are allowed.",
            hint,
        )
        self.stage, self.need_bytes, self.budget_bytes = stage, need_bytes, budget_bytes
        self.where, self.changes = where, changes


class ModelUnavailable(DraftError):
    """Weights that are missing, partial or not what their name says."""

    def __init__(self, model: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.model = model


class OutOfMemory(DraftError):
    """The device ran out of memory in `stage`, against the forecast. Where no way is left that needs less `plan` is
    the one that was carried out, and needed `need_bytes` by the forecast."""

    def __init__(
        self, stage: str, hint: str = "", plan: typing.Any = None, *, need_bytes: int = 0, budget_bytes: int = 0
    ) -> None:
        message = f"The device ran out of memory while it was busy with {stage}"
        if plan is not None:
            message += (
                f" in the way that needs least: about {say_bytes(need_bytes)} by the forecast, and "
                f"{say_bytes(budget_bytes)} are allowed"
            )
        super().__init__(f"{message}.", hint)
        self.stage, self.plan, self.need_bytes, self.budget_bytes = stage, plan, need_bytes, budget_bytes


class WriteFailed(DraftError):
    """A file could not be written or made."""

    def __init__(self, path: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.path = path


class DraftsInUse(DraftError):
    """Another Rushes already works on this drafts folder."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"Another Rushes is already working on the drafts folder {path}.",
            "Close it, or choose another folder with --drafts.",
        )
        self.path = path


class StopRequested(Exception):
    """Raised inside a stage when the person asked to stop; what is finished is kept."""
