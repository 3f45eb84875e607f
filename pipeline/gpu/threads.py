"""How the threads that share one operation on the processor wait for one another. To be said before torch is loaded."""

import os

SPIN_COUNT = 1000
"""How often a thread looks again before it sleeps. By itself libgomp has 300,000, as many as 1000 or 100 only where it
has more threads than there are processors (its manual, GOMP_SPINCOUNT). With 300,000 a thread that waits for another,
which has no processor because something else computes there, keeps its own busy meanwhile, and so does the other
program's: `python -m tests.bench.beside`, figures in the README. In a trial 100 made a draft alone a fifth longer."""


def share_processors() -> None:
    """Have threads that wait sleep soon, here and in processes that are begun from here.

    Nothing where somebody has said how they are to wait, and nothing outside libgomp, which is torch's on Linux.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
