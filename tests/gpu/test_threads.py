"""What is said to torch's threads before there are any, and what a person has said already."""

import os
import subprocess
import sys

import pytest

from pipeline.gpu.threads import SPIN_COUNT, share_processors

HEARD = "libgomp tells its settings when it is loaded where OMP_DISPLAY_ENV asks it to"


@pytest.mark.parametrize("said", [{}, {"GOMP_SPINCOUNT": "5"}, {"OMP_WAIT_POLICY": "active"}])
def test_who_waits_sleeps_soon_unless_somebody_said_otherwise(
    said: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = dict(said)
    monkeypatch.setattr(os, "environ", environment)
    share_processors()
    assert environment == (said or {"GOMP_SPINCOUNT": str(SPIN_COUNT)})


@pytest.mark.skipif(sys.platform != "linux", reason="torch brings libgomp on Linux only")
@pytest.mark.parametrize("program", ["app", "pipeline.__main__"])
def test_both_programs_say_so_before_torch_is_loaded(program: str) -> None:
    code = f"""
import contextlib, sys
from {program} import main
assert "torch" not in sys.modules
with contextlib.suppress(SystemExit):
    main(["--help"])
import torch
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GOMP_", "OMP_"))}
    heard = subprocess.run(
        [sys.executable, "-c", code], env=environment | {"OMP_DISPLAY_ENV": "verbose"}, capture_output=True, text=True
    )
    assert f"GOMP_SPINCOUNT = '{SPIN_COUNT}'" in heard.stderr, HEARD
