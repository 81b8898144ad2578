"""The ranked trainer against TRL's on the same rankings: `python -m tests.benchmarks.ranked --prompt 200 --completion 200 --k 4`.

One step's loss and backward pass, measured in CPU seconds of one thread (wall seconds on a GPU), median of interleaved
repeats. TRL default: as `DPOTrainer` comes. TRL tuned: reference precomputed, checkpointing off, head on completion
tokens only. Ours: reference from the cache, checkpointing off. `--end-to-end` measures whole runs instead: tokenising,
reference, training, saving. Nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

ENGINES = ("trl_default", "trl_tuned", "ranked")
VOCABULARY = 8192
BODY = {"hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 4}
"""17.4M parameters beside a tied embedding of 4.2M."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompt", type=int, default=200, help="tokens of each prompt")
    parser.add_argument("--completion", type=int, default=200, help="tokens of each completion; with --vary the mean")
    parser.add_argument("--k", type=int, default=4, help="completions of each ranking")
    parser.add_argument("--rankings", type=int, default=1, help="rankings in a step")
    parser.add_argument("--vary", action="store_true", help="log-normal completion lengths instead of equal ones")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--reward", action="store_true", help="the reward model instead of DPO; TRL tuned: checkpointing off")
    parser.add_argument("--end-to-end", action="store_true", help="whole runs: tokenising, reference, training, saving")
    parser.add_argument("--epochs", type=int, default=1, help="of --end-to-end")
    parser.add_argument("--small", action="store_true", help="a model of 1M parameters, to try the benchmark itself")
    parser.add_argument("--times-only", action="store_true", help="leave out the memory, measured in processes of their own")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--memory-of", choices=ENGINES, help=argparse.SUPPRESS)
    return parser.parse_args()


def tokenizer_of_words():
    """One token per word `w17`, and a template that adds three tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "<end>": 1, "<user>": 2, "<assistant>": 3} | {f"w{i}": i for i in range(4, VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(vocab=words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<pad>")
    made.chat_template = ("{%- for m in messages -%}{{ '<' + m['role'] + '> ' + m['content'] + ' ' }}"
                          "{%- if m['role'] == 'assistant' -%}{{ '<end> ' }}{%- endif -%}{%- endfor -%}"
                          "{%- if add_generation_prompt -%}{{ '<assistant> ' }}{%- endif -%}")
    return made


def rankings_of(asked: argparse.Namespace):
    """Rankings of the asked lengths, in order, no ties."""
    from tests.alignment.ranked.rankings import ranking

    chance = random.Random(0)

    def words(count: int) -> str:
        return " ".join(f"w{chance.randrange(4, VOCABULARY)}" for _ in range(max(1, count)))

    def length() -> int:
        drawn = chance.lognormvariate(0, 0.6) / 1.2 if asked.vary else 1
        return round(asked.completion * drawn) - 1

    return [ranking(f"r{n}", words(asked.prompt - 2), [words(length()) for _ in range(asked.k)]) for n in range(asked.rankings)]


def model_of(asked: argparse.Namespace):
    """A random Llama behind LoRA r=16 on all linear layers, float32."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification

    body = BODY if not asked.small else BODY | {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2}
    config = LlamaConfig(vocab_size=VOCABULARY, max_position_embeddings=8192, tie_word_embeddings=True, pad_token_id=0,
                         bos_token_id=None, eos_token_id=1, **body)
    torch.manual_seed(0)
    if not asked.reward:
        return get_peft_model(LlamaForCausalLM(config), LoraConfig(r=16, lora_alpha=32, target_modules="all-linear"))
    config.num_labels = 1
    adapter = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="SEQ_CLS", modules_to_save=["score"])
    return get_peft_model(LlamaForSequenceClassification(config), adapter)


def trainer_of(engine: str, asked: argparse.Namespace, folder: Path):
    """A trainer of the engine, as its users would set it up."""
    from trl import DPOConfig, DPOTrainer

    from alignment.ranked.settings import RankedConfig
    from alignment.ranked.trainer import RankedTrainer

    pairs = asked.k * (asked.k - 1) // 2
    shared = {"output_dir": str(folder / engine), "use_cpu": True, "bf16": False, "report_to": [], "disable_tqdm": True,
              "max_length": 8192, "num_train_epochs": asked.epochs, "save_strategy": "no", "logging_steps": 1000}
    if asked.reward:
        return reward_trainer_of(engine, asked, shared)
    if engine == "ranked":
        args = DPOConfig(**shared, activation_checkpointing=False, per_device_train_batch_size=asked.rankings)
        return RankedTrainer(model_of(asked), args, rankings=rankings_of(asked), processing_class=tokenizer_of_words(),
                             ranked=RankedConfig(cache=folder / "cache"))
    tuned = {"activation_checkpointing": False, "precompute_ref_log_probs": True} if engine == "trl_tuned" else {}
    args = DPOConfig(**shared, **tuned, per_device_train_batch_size=pairs * (1 if asked.end_to_end else asked.rankings))
    trainer = DPOTrainer(model_of(asked), args=args, train_dataset=expanded(asked), processing_class=tokenizer_of_words())
    if engine == "trl_tuned":
        head_on_completions_only(trainer)
    return trainer


def reward_trainer_of(engine: str, asked: argparse.Namespace, shared: dict[str, object]):
    """A reward trainer of the engine on the same model with a scalar head."""
    from trl import RewardConfig, RewardTrainer

    from alignment.ranked.reward import RankedRewardTrainer

    off = {} if engine == "trl_default" else {"activation_checkpointing": False}
    pairs = asked.k * (asked.k - 1) // 2
    batch = asked.rankings * (1 if engine == "ranked" else pairs)
    args = RewardConfig(**shared, **off, per_device_train_batch_size=batch)
    if engine == "ranked":
        return RankedRewardTrainer(model_of(asked), args, rankings=rankings_of(asked), processing_class=tokenizer_of_words())
    rows = expanded(asked).add_column("margin", [1.0] * (pairs * asked.rankings))
    return RewardTrainer(model_of(asked), args=args, train_dataset=rows, processing_class=tokenizer_of_words())


def expanded(asked: argparse.Namespace):
    """Every pair of the rankings, as TRL takes them."""
    from datasets import Dataset

    return Dataset.from_list([{"prompt": [m.model_dump() for m in row.messages],
                               "chosen": [{"role": "assistant", "content": row.completions[pair.better]}],
                               "rejected": [{"role": "assistant", "content": row.completions[pair.worse]}]}
                              for row in rankings_of(asked) for pair in row.pairs])


def head_on_completions_only(trainer) -> None:
    """TRL does this on a GPU; on a CPU it projects every position. Its own switch is turned for a fair comparison."""
    import trl.trainer.utils

    trainer.compacts = True
    original = trl.trainer.utils._use_triton

    def step(*args, **kwargs):
        trl.trainer.utils._use_triton = lambda device: True
        try:
            return compute(*args, **kwargs)
        finally:
            trl.trainer.utils._use_triton = original

    compute, trainer.compute_loss = trainer.compute_loss, step


def whole_batch(trainer):
    """All rows of the trainer as one batch."""
    data = trainer.train_dataset
    signature = {"tree", "length", "prompt_ids", "chosen_ids", "rejected_ids", "ref_chosen_logps", "ref_rejected_logps", "margin"}
    return trainer._prepare_inputs(trainer.data_collator([{k: v for k, v in data[i].items() if k in signature}
                                                          for i in range(len(data))]))


def one_step(trainer) -> tuple[float, float]:
    """(loss, CPU seconds) of one forward and backward pass. The gradients stay on the model."""
    batch = whole_batch(trainer)
    trainer.model.train()
    trainer.model.zero_grad()
    begun = time.process_time()
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    return loss.item(), time.process_time() - begun


def gradient(trainer):
    """The adapter's gradients, one vector."""
    import torch

    found = [p.grad.flatten().double() for _, p in sorted(trainer.model.named_parameters()) if p.grad is not None]
    return torch.cat(found)


def move_away(trainer) -> None:
    """Change the trained adapter the same way everywhere: at the start every loss is ln 2 whatever the data."""
    import torch

    generator = torch.Generator().manual_seed(1)
    for name, weight in sorted(trainer.model.named_parameters()):
        if ".default." in name:
            weight.data += 0.02 * torch.randn(weight.shape, generator=generator)


def measure_steps(asked: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Times, how equal losses and gradients are, and how full the rows."""
    import torch

    from alignment.ranked.packing import pack, tokens_of

    trainers = {engine: trainer_of(engine, asked, folder) for engine in ENGINES}
    for trainer in trainers.values():
        move_away(trainer)
    losses, gradients, seconds = {}, {}, {engine: [] for engine in ENGINES}
    for turn in range(asked.repeats + 1):
        for engine, trainer in trainers.items():
            losses[engine], spent = one_step(trainer)
            if turn == 0:
                gradients[engine] = gradient(trainer)
            else:
                seconds[engine].append(spent)
    cosine = torch.cosine_similarity(gradients["ranked"], gradients["trl_default"], dim=0).item()
    ranked = trainers["ranked"]
    useful, computed = tokens_of(ranked.reading.trees, ranked.path, ranked.ranked.token_budget)
    rows = len(pack(ranked.reading.trees, ranked.ranked.token_budget))
    return {"seconds": seconds, "loss_abs_diff": abs(losses["ranked"] - losses["trl_default"]), "grad_cosine": cosine,
            "packing_efficiency": useful / computed, "budget_used": useful / (rows * ranked.ranked.token_budget)}


def measure_runs(asked: argparse.Namespace, folder: Path) -> dict[str, object]:
    """CPU seconds of whole runs."""
    seconds = {engine: [] for engine in ENGINES}
    for turn in range(asked.repeats):
        for engine in ENGINES:
            begun = time.process_time()
            trainer = trainer_of(engine, asked, folder / str(turn))
            trainer.train()
            trainer.save_model()
            seconds[engine].append(time.process_time() - begun)
    return {"seconds": seconds}


def peak_memory(asked: argparse.Namespace, folder: Path) -> float:
    """GiB above the resident size before the step, sampled during one step in this process."""
    trainer = trainer_of(asked.memory_of, asked, folder)
    gc.collect()
    baseline, peak, done = resident(), [0], threading.Event()

    def watch() -> None:
        while not done.is_set():
            peak[0] = max(peak[0], resident())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    one_step(trainer)
    done.set()
    watcher.join()
    return (peak[0] - baseline) / 2**30


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory_in_own_processes() -> dict[str, float]:
    """Each engine's memory in a fresh process."""
    found = {}
    for engine in ENGINES:
        ended = subprocess.run([sys.executable, "-m", "tests.benchmarks.ranked", *sys.argv[1:], "--memory-of", engine],
                               capture_output=True, text=True, check=True)
        found[engine] = float(ended.stdout.split()[-1])
    return found


def main() -> None:
    """Measure what was asked for and print it."""
    import warnings

    warnings.simplefilter("ignore")
    import torch
    from datasets import disable_progress_bars

    asked = arguments()
    disable_progress_bars()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.memory_of:
            sys.stdout.write(f"{peak_memory(asked, folder)}\n")
            return
        with contextlib.redirect_stdout(sys.stderr):  # a trainer prints how it ended
            found = measure_runs(asked, folder) if asked.end_to_end else measure_steps(asked, folder)
    median = {engine: statistics.median(times) for engine, times in found.pop("seconds").items()}
    memory = {} if asked.end_to_end or asked.times_only else memory_in_own_processes()
    asks = {name: getattr(asked, name) for name in ("prompt", "completion", "k", "rankings", "vary", "reward")}
    report = {**asks,
              "end_to_end": asked.end_to_end, "epochs": asked.epochs, "threads": 1, "cpu_seconds": median,
              "vs_trl_default": median["trl_default"] / median["ranked"], "vs_trl_tuned": median["trl_tuned"] / median["ranked"],
              **({"memory_gib": memory, "memory_ratio": memory["ranked"] / memory["trl_default"]} if memory else {}), **found}
    sys.stdout.write(json.dumps(report) + "\n" if asked.json else "\n".join(f"{k}: {v}" for k, v in report.items()) + "\n")


if __name__ == "__main__":
    main()
