"""Third-party noise kept off the terminal: advice and bars of the training libraries, never their errors."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LIBRARIES = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "bitsandbytes", "huggingface_hub", "gguf")
"""Whose loggers speak from ERROR on, and whose warnings are not shown."""


@contextmanager
def quiet() -> Iterator[None]:
    """Run the block without the libraries' progress bars, warnings and log lines below ERROR.

    Warnings that are attributed to our own code still show: those are ours to mend.
    """
    before = {name: logging.getLogger(name).level for name in LIBRARIES}
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), _no_bars():
        for name in LIBRARIES:
            warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
        try:
            yield
        finally:
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)


@contextmanager
def _no_bars() -> Iterator[None]:
    """Bars of the hub and of datasets read the environment; those of transformers have a switch of their own."""
    names = ("TQDM_DISABLE", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        _switch_off_transformers_bars()
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def _switch_off_transformers_bars() -> None:
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    # Its logger gets a level and a handler of its own at the first use, which undoes a level set before.
    transformers_logging.set_verbosity_error()
