"""Embeddings on disk: the same sentence for the same encoder is encoded once, ever.

Files are named by a hash, so no sentence appears in a file name. A file that cannot be read is a miss, not an error.
"""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

LARGEST_CACHE_BYTES = 2**28  # 256 MiB: about 250 LTX sentences of 128 tokens x 4096 in bf16


@dataclass(frozen=True, slots=True)
class PromptEmbeds:
    """One sentence as the transformer reads it, on the CPU.

    embeds: [1, T, D] in the encoder's dtype, padded to the model's token count. mask: [1, T] int64, 1 where a token is.
    """

    embeds: Tensor
    mask: Tensor


class EmbeddingCache:
    """A folder of embeddings, least recently used deleted first.

    Args:
        folder: made when something is first stored.
        largest_bytes: of all files together.
    """

    def __init__(self, folder: Path, largest_bytes: int = LARGEST_CACHE_BYTES) -> None:
        self.folder, self.largest_bytes = folder, largest_bytes

    def find(self, encoder: str, dtype: str, sentence: str) -> PromptEmbeds | None:
        """What was stored for this encoder (a checkpoint's fingerprint), precision and sentence; None if nothing."""
        path = self._path(encoder, dtype, sentence)
        try:
            tensors = load_file(path)
            os.utime(path)
            return _pad(tensors["embeds"], int(tensors["tokens"]))
        except (OSError, SafetensorError, KeyError, ValueError):
            return None

    def store(self, encoder: str, dtype: str, sentence: str, embeds: PromptEmbeds) -> None:
        """Keep an embedding: real tokens only, the padding is put back by `find`."""
        path = self._path(encoder, dtype, sentence)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            real = int(embeds.mask.sum())
            tokens = torch.tensor(embeds.mask.shape[1])
            save_file({"embeds": embeds.embeds[:, :real].contiguous(), "tokens": tokens}, temporary)
            temporary.replace(path)
            self._trim()
        except (OSError, SafetensorError):  # a cache that cannot be written costs time, not the draft
            with suppress(OSError):
                temporary.unlink()

    def _path(self, encoder: str, dtype: str, sentence: str) -> Path:
        key = "\0".join((encoder, dtype, sentence)).encode("utf-8", "surrogatepass")
        return self.folder / f"{hashlib.sha256(key).hexdigest()}.safetensors"

    def _trim(self) -> None:
        files = sorted(self.folder.glob("*.safetensors"), key=lambda file: file.stat().st_mtime, reverse=True)
        held = 0
        for file in files:
            held += file.stat().st_size
            if held > self.largest_bytes:
                file.unlink(missing_ok=True)


def _pad(real: Tensor, tokens: int) -> PromptEmbeds:
    count = real.shape[1]
    mask = torch.zeros(1, tokens, dtype=torch.int64)
    mask[:, :count] = 1
    return PromptEmbeds(torch.nn.functional.pad(real, (0, 0, 0, tokens - count)), mask)
