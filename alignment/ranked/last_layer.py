"""The last layer's feed-forward network, computed only where its output is looked at.

After the last layer nobody attends to a prompt's tokens any more: of them only the last one is read, by each branch's first
token. Their keys and values are made before that network, so leaving it out changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def read_only_at(model: Any, columns: torch.Tensor) -> Iterator[None]:
    """Inside, the last feed-forward network of `model` works on these columns of the one row; elsewhere it gives zeros.

    Under activation checkpointing the layer is run again during backward, outside of this: nothing is left out then.
    """
    layers = getattr(model.base_model, "layers", None)
    network = getattr(layers[-1], "mlp", None) if layers is not None and len(layers) else None
    again = any(getattr(module, "gradient_checkpointing", False) or type(module).__name__ == "CheckpointWrapper"
                for module in model.modules())
    if network is None or (again and model.training):
        yield
        return
    whole, read = network.forward, columns.unique()

    def forward(states: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = whole(states[:, read])
        return found.new_zeros((*states.shape[:2], found.shape[-1])).index_copy(1, read, found)

    network.forward = forward
    try:
        yield
    finally:
        network.forward = whole
