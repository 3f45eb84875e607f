"""How many frames are in a film or a slice that lies in a draft's folder, by the file itself; nothing is decoded."""

from os import SEEK_CUR
from pathlib import Path

INDEX_BYTES = 2**20  # from the beginning, where ffmpeg puts a film's index (+faststart), to its table of samples
TABLE = b"stsz"  # then four bytes each: version and flags, the size if all have the same, how many there are
FRAGMENT, RUN = b"moof", b"trun"  # of a slice; the latter goes on with version and flags, and how many frames it has
HEAD_BYTES = 8  # of a box: four of its size, these among it, then its name


def count_frames(path: Path) -> int:
    """As many as the file's own index says; 0 where there is none."""
    try:
        with path.open("rb") as file:
            _, _, table = file.read(INDEX_BYTES).partition(TABLE)
    except OSError:
        return 0
    return int.from_bytes(table[8:12], "big")


def count_slice_frames(path: Path) -> int:
    """As many as a slice's fragments say, which take a few hundred bytes each; 0 where it is none, or not whole."""
    frames, name = 0, FRAGMENT
    try:
        with path.open("rb") as file:
            left = path.stat().st_size
            while left:
                head = file.read(HEAD_BYTES)
                size, name = int.from_bytes(head[:4], "big"), head[4:]
                if not HEAD_BYTES <= size <= left:
                    return 0
                if name == FRAGMENT:
                    _, *runs = file.read(size - HEAD_BYTES).split(RUN)
                    frames += sum(int.from_bytes(run[4:8], "big") for run in runs)
                else:
                    file.seek(size - HEAD_BYTES, SEEK_CUR)
                left -= size
    except OSError:
        return 0
    return 0 if name == FRAGMENT else frames  # whose pictures come after it
