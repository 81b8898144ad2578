"""The base model: found, named by its content, and loaded the way the configuration says."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from feedback.errors import InvalidInput, MissingPart
from feedback.ids import canonical_json, file_hash
from feedback.paths import cache_dir
from feedback.terminal import note
from sft.chat import ensure_template
from sft.config import ModelConfig
from sft.silence import quiet

Task = Literal["causal", "reward"]

SMOLLM2 = "smollm2"
CONTENT = ("*.safetensors", "*.bin", "*.json", "*.jinja", "*.model", "*.py")
"""Files of a model folder that decide what it computes: weights, configuration, tokenizer, template, own code."""

BIG = 1 << 24
"""Bytes from which a file's hash is worth remembering."""


@dataclass(frozen=True)
class Base:
    """A base model in memory."""

    model: Any
    """A transformers model."""
    tokenizer: Any
    """Its tokenizer, with a chat template and a padding token."""
    hash: str
    """64 hex digits, from the content of its files."""
    name: str
    """How adapters refer to it: the hub id, `smollm2`, or the folder's name."""
    default_template: str | None
    """Redpen's own chat template, when the base came without one."""


def resolve_base(name: str) -> Path | str:
    """Where the base is: a folder as it stands, `smollm2` as its dense copy in the cache (made now if need be), else a hub id."""
    if name == SMOLLM2 and not Path(name).is_dir():
        from sft.smollm2 import dense_copy

        return dense_copy()
    return Path(name) if Path(name).expanduser().is_dir() else name


def base_folder(name: str) -> Path:
    """The folder that holds the base's files; a hub id is fetched into the hub's cache.

    Raises InvalidInput when there is no such folder and the hub does not give it.
    """
    found = resolve_base(name)
    if isinstance(found, Path):
        return found.expanduser()
    note(f"{name}: looking in the Hugging Face hub and its cache")
    try:
        return _from_hub(name)
    # The hub's errors are an OSError or a ValueError each: no such id, no access, no network and nothing in the cache.
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise InvalidInput(f"model.base is {name!r}: not a folder, not `{SMOLLM2}`, and not to be had from the hub ({first}); "
                           "give a folder with config.json and weights, or a hub id that this machine can reach") from None


def _from_hub(name: str) -> Path:
    """The model's snapshot; the same weights in a second format are left where they are."""
    from huggingface_hub import snapshot_download

    wanted = [pattern for pattern in CONTENT if pattern != "*.bin"]
    folder = Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=["original/*", "consolidated*"]))
    return folder if any(folder.glob("*.safetensors")) else Path(snapshot_download(name, allow_patterns=list(CONTENT)))


def base_name(name: str) -> str:
    """The base as adapters record it: no path of this machine."""
    return Path(name).name if Path(name).is_dir() else name


def base_hash(base: str | Path) -> str:
    """SHA-256 over the names and contents of the base's files, 64 hex digits."""
    folder = base if isinstance(base, Path) else base_folder(base)
    files = sorted({path for pattern in CONTENT for path in folder.glob(pattern)})
    if not any(path.suffix in {".safetensors", ".bin"} for path in files):
        raise InvalidInput(f"{folder}: no *.safetensors or *.bin in it; model.base must be a folder with a model's weights")
    hashes = _remembered_hashes(files)
    return hashlib.sha256(canonical_json({path.name: hashes[path] for path in files}).encode()).hexdigest()


def _remembered_hashes(files: list[Path]) -> dict[Path, str]:
    """SHA-256 of each file; those of big ones are kept in the cache by path, size and time, since they take minutes to read."""
    memory = cache_dir() / "base-hashes.json"
    try:
        known = dict(json.loads(memory.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        known = {}
    hashes = {path: known.get(_stamp(path)) or file_hash(path) for path in files}
    learned = {_stamp(path): hashes[path] for path in files if path.stat().st_size > BIG}
    if not learned.items() <= known.items():
        memory.parent.mkdir(parents=True, exist_ok=True)
        partial = memory.with_name(f"{memory.name}.{os.getpid()}")
        partial.write_text(json.dumps(known | learned, indent=1), encoding="utf-8")
        os.replace(partial, memory)
    return hashes


def _stamp(path: Path) -> str:
    state = path.stat()
    return f"{path.resolve()}|{state.st_size}|{state.st_mtime_ns}"


def set_threads(config: ModelConfig) -> int:
    """Apply `threads` and return how many CPU threads torch now computes with."""
    import torch

    if config.threads is not None:
        torch.set_num_threads(config.threads)
    return torch.get_num_threads()


def device_of(config: ModelConfig) -> str:
    """`cpu` or `cuda`. Raises MissingPart when a GPU is asked for and there is none."""
    import torch

    if config.device == "cuda" and not torch.cuda.is_available():
        raise MissingPart("model.device is cuda and torch sees no GPU; install a CUDA build of torch, or use device: auto")
    return "cpu" if config.device == "cpu" or not torch.cuda.is_available() else "cuda"


def dtype_of(config: ModelConfig) -> Any:
    """The torch dtype that the base is held in."""
    import torch

    if config.dtype == "auto":
        return torch.bfloat16 if device_of(config) == "cuda" else torch.float32
    return getattr(torch, config.dtype)


def is_exact(config: ModelConfig) -> bool:
    """The base is held in float32: the same forward gives the same numbers to the last few bits, however it is batched."""
    import torch

    return bool(dtype_of(config) == torch.float32) and config.quantization == "none"


def load_tokenizer(config: ModelConfig, folder: Path) -> tuple[Any, str | None]:
    """The base's tokenizer, ready to pad, and the default template if it needed one."""
    from transformers import AutoTokenizer

    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=config.trust_remote_code)
    if tokenizer.eos_token is None:
        raise InvalidInput(f"{config.base}: its tokenizer has no end-of-sequence token, so answers would never end; "
                           "set eos_token in its tokenizer_config.json")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, ensure_template(tokenizer)


def load_base(config: ModelConfig, *, task: Task = "causal") -> Base:
    """The base in memory, on its device, in evaluation mode.

    `reward` puts a single-number head with fresh weights in place of the language head; seed torch first.
    """
    import transformers

    set_threads(config)
    folder = base_folder(config.base)
    tokenizer, template = load_tokenizer(config, folder)
    kind = transformers.AutoModelForCausalLM if task == "causal" else transformers.AutoModelForSequenceClassification
    options: dict[str, Any] = {} if task == "causal" else {"num_labels": 1}
    if config.quantization != "none":
        from sft.quantized import quantization

        options |= {"quantization_config": quantization(config), "device_map": {"": placement(config)}}
    with quiet():
        model = kind.from_pretrained(folder, dtype=dtype_of(config), trust_remote_code=config.trust_remote_code, **options)
    if config.quantization == "none":
        model.to(placement(config))
    else:
        from sft.quantized import defend

        defend(model)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return Base(model=model.eval(), tokenizer=tokenizer, hash=base_hash(folder), name=base_name(config.base),
                default_template=template)


def placement(config: ModelConfig) -> str:
    """The device of this process: under `accelerate launch`, each has a GPU of its own."""
    device = device_of(config)
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device == "cuda" else device
