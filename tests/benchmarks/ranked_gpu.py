"""The ranked trainer against TRL's on one CUDA GPU: `python -m tests.benchmarks.ranked_gpu --size 8b --k 4`.

A Llama of random weights in bfloat16, LoRA r=16 on all linear layers, the same rankings for both in one run: rankings and useful
tokens per second, model FLOP utilisation (4 FLOP per parameter and computed token, as LoRA trains no base weight) and peak
memory. TRL with its defaults, its reference computed in the step. Nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

SIZES = {
    "tiny": {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2},
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
           "num_key_value_heads": 8},
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
           "num_key_value_heads": 8},
}
VOCABULARY = 128_256
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}
"""Dense bfloat16 FLOP per second by the makers' sheets."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="1b")
    parser.add_argument("--prompt", type=int, default=200)
    parser.add_argument("--completion", type=int, default=200)
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--rankings", type=int, default=8, help="rankings in a step; TRL takes as many steps of --trl-pairs")
    parser.add_argument("--trl-pairs", type=int, default=4, help="pairs in one of TRL's forward passes")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--engines", nargs="+", choices=("ranked", "trl"), default=["ranked", "trl"])
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def model_of(size: str):
    """Random weights on the GPU, behind LoRA."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=8192, tie_word_embeddings=size != "8b", pad_token_id=0,
                         bos_token_id=None, eos_token_id=1, dtype="bfloat16", **SIZES[size])
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    return get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))


def trainer_of(engine: str, asked: argparse.Namespace, folder: Path):
    """A trainer with all rankings as one optimiser step."""
    from trl import DPOConfig, DPOTrainer

    from alignment.ranked.settings import RankedConfig
    from alignment.ranked.trainer import RankedTrainer
    from tests.benchmarks import ranked as small

    shared = {"output_dir": str(folder / engine), "bf16": True, "report_to": [], "disable_tqdm": True, "max_length": 8192,
              "save_strategy": "no"}
    small_asked = argparse.Namespace(**vars(asked), vary=False, reward=False)
    tokenizer = small.tokenizer_of_words()
    if engine == "ranked":
        args = DPOConfig(**shared, per_device_train_batch_size=asked.rankings)
        return RankedTrainer(model_of(asked.size), args, rankings=small.rankings_of(small_asked), processing_class=tokenizer,
                             ranked=RankedConfig(cache=folder / "cache"))
    args = DPOConfig(**shared, per_device_train_batch_size=asked.trl_pairs)
    return DPOTrainer(model_of(asked.size), args=args, train_dataset=small.expanded(small_asked), processing_class=tokenizer)


def batches_of(engine: str, trainer, asked: argparse.Namespace):
    """Everything as the batches of one step."""
    size = asked.rankings if engine == "ranked" else asked.trl_pairs
    data = trainer.train_dataset
    return [trainer._prepare_inputs(trainer.data_collator([data[i] for i in range(start, min(start + size, len(data)))]))
            for start in range(0, len(data), size)]


def one_pass(trainer, batches) -> float:
    """Wall seconds of forward and backward over all rankings."""
    import torch

    torch.cuda.synchronize()
    begun = time.perf_counter()
    for batch in batches:
        trainer.training_step(trainer.model, batch)
    torch.cuda.synchronize()
    trainer.model.zero_grad()
    return time.perf_counter() - begun


def measured(engine: str, asked: argparse.Namespace, folder: Path) -> dict[str, float]:
    """The engine's figures. Its model is gone when this returns."""
    import torch

    trainer = trainer_of(engine, asked, folder)
    batches = batches_of(engine, trainer, asked)
    for _ in range(2):  # compiling is not counted
        one_pass(trainer, batches)
    torch.cuda.reset_peak_memory_stats()
    seconds = statistics.median(one_pass(trainer, batches) for _ in range(asked.repeats))
    useful = asked.rankings * (asked.prompt + asked.k * asked.completion)
    rows = 1 if engine == "ranked" else asked.k * (asked.k - 1)
    computed = useful if engine == "ranked" else asked.rankings * rows * (asked.prompt + asked.completion)
    body = sum(p.numel() for n, p in trainer.model.named_parameters() if "embed" not in n and "lora" not in n)
    found = {"seconds": seconds, "rankings_per_second": asked.rankings / seconds, "useful_tokens_per_second": useful / seconds,
             "computed_tokens_per_second": computed / seconds, "peak_gib": torch.cuda.max_memory_allocated() / 2**30}
    peak = next((flops for name, flops in PEAK.items() if name in torch.cuda.get_device_name()), None)
    return found | ({"mfu": 4 * body * computed / seconds / peak} if peak else {})


def main() -> None:
    """Measure what was asked for and print it."""
    import gc
    import warnings

    import torch

    warnings.simplefilter("ignore")
    asked = arguments()
    if not torch.cuda.is_available():
        sys.exit("this benchmark needs a CUDA GPU, and torch sees none; nothing was measured")
    report: dict[str, object] = {"gpu": torch.cuda.get_device_name(), **vars(asked)}
    with tempfile.TemporaryDirectory() as name:
        for engine in asked.engines:
            report[engine] = measured(engine, asked, Path(name))
            gc.collect()
            torch.cuda.empty_cache()
    sys.stdout.write(json.dumps(report) + "\n" if asked.json else "\n".join(f"{k}: {v}" for k, v in report.items()) + "\n")


if __name__ == "__main__":
    main()
