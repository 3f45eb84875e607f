"""A stage that has no steps, such as reading a sentence, is left between two layers of its network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch.nn.modules.module import register_module_forward_pre_hook


@contextmanager
def asking_at_each_layer(check: Callable[[], None]) -> Iterator[None]:
    """Call `check` before every layer of whatever network runs inside; what it raises ends that run like any error."""
    handle = register_module_forward_pre_hook(lambda _module, _inputs: check())
    try:
        yield
    finally:
        handle.remove()
