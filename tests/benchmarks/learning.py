"""How fast and how well preferences are learned: `python -m tests.benchmarks.learning speed --desk pocket --json`.

    speed   the ranked engine against TRL's DPO on the same rankings: the same passes over the data, and the same CPU seconds
    noise   a fifth of the labels wrong: plain DPO, a constant noise rate, a constant posterior, and the posterior of a model of
            the reviewers, all in the ranked engine

Accuracy is of the true pairs of questions never trained on: the share whose better answer gained more log-probability
against the reference. CPU seconds are those of the whole stage, model loading left out, one thread. Nothing here
asserts a time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from alignment import dpo
from alignment.config import DpoConfig
from feedback.jsonl import write_rows
from feedback.lineage import read_manifest
from feedback.training_sets.rows import PreferencePair, RankedSet
from sft.config import LoraConfig, ModelConfig
from tests.benchmarks.desk_rankings import reviewed, true_rankings, with_doubt
from tests.rows import pair


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["speed", "noise"])
    parser.add_argument("--desk", default="pocket", help="pocket, smollm2, or a model's folder")
    parser.add_argument("--pretrain", type=int, default=220, help="steps of the pocket model; fewer know less")
    parser.add_argument("--rankings", type=int, default=120, help="trained on")
    parser.add_argument("--held-out", type=int, default=80, help="rankings judged at the end")
    parser.add_argument("--k", type=int, default=4, help="answers of each ranking")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


class Desk:
    """A base model, questions to train on and others to judge by."""

    def __init__(self, asked: argparse.Namespace, folder: Path, seed: int) -> None:
        rankings = true_rankings(asked.rankings + asked.held_out, size=asked.k, seed=seed)
        self.asked, self.folder, self.seed = asked, folder, seed
        self.train, self.judge = rankings[:asked.rankings], rankings[asked.rankings:]
        self.model = ModelConfig(base=base_of(asked.desk, asked.pretrain), device="cpu", max_length=256, threads=1)
        self.runs = 0

    def trained(self, rows: Sequence[RankedSet], **changes: object) -> tuple[float, float, int]:
        """(held-out pair accuracy, CPU seconds, steps) of one DPO stage."""
        trainer = {"learning_rate": self.asked.learning_rate, "num_train_epochs": self.asked.epochs} | changes.pop("trainer", {})
        stage = dpo.DpoStage(model=self.model, lora=LoraConfig(r=8), seed=self.seed,
                             dpo=DpoConfig.model_validate({"watched_share": 0, "trainer": trainer,
                                                           **({"cache": self.folder / f"cache{self.runs}"}
                                                              if changes.get("engine") != "trl" else {}), **changes}))
        self.runs += 1
        out, sets = self.folder / f"run{self.runs}", self._sets(rows)
        begun = time.process_time()
        dpo.run(stage, training_sets=sets, parent=None, out=out)
        seconds = time.process_time() - begun - self._loading()
        return self.accuracy(out / "adapter"), seconds, read_manifest(out).counts["steps"]

    def _sets(self, rows: Sequence[RankedSet]) -> Path:
        sets = self.folder / f"sets{self.runs}"
        sets.mkdir()
        write_rows(sets / "rankings.jsonl", rows)
        write_rows(sets / "pairs.jsonl", expanded(rows))
        return sets

    def _loading(self) -> float:
        """CPU seconds that loading the base takes, which both engines pay alike."""
        from sft.model import load_base

        begun = time.process_time()
        load_base(self.model)
        return time.process_time() - begun

    def accuracy(self, adapter: Path) -> float:
        """Share of the true held-out pairs whose better answer gained more against the base."""
        from sft.adapters import with_adapter
        from sft.model import load_base

        base = load_base(self.model)
        model = with_adapter(base, adapter, trainable=True)
        after = log_probabilities(model, base.tokenizer, self.judge)
        with model.disable_adapter():
            before = log_probabilities(model, base.tokenizer, self.judge)
        right = [gained(after, before, n, pair.better) > gained(after, before, n, pair.worse)
                 for n, ranking in enumerate(self.judge) for pair in ranking.pairs]
        return statistics.fmean(right)


def gained(after: list[list[float]], before: list[list[float]], ranking: int, answer: int) -> float:
    """How much an answer's log-probability rose."""
    return after[ranking][answer] - before[ranking][answer]


def log_probabilities(model, tokenizer, rankings: Sequence[RankedSet]) -> list[list[float]]:
    """Of every answer of every ranking."""
    from alignment.ranked.log_probs import completion_logps
    from alignment.ranked.trees import Tree
    from sft.chat import encoder

    encode, trees = encoder(tokenizer), []
    for ranking in rankings:
        rows = [encode(ranking.messages, text) for text in ranking.completions]
        trees.append(Tree(ranking.id, tuple(rows[0].prompt), tuple(tuple(row.completion) for row in rows),
                          tuple(range(len(rows))), ()))
    return completion_logps(model, trees, budget=2048)


def base_of(desk: str, steps: int) -> str:
    """The base's folder; the pocket model is built on first use."""
    if desk != "pocket":
        return desk
    from review_ui.demo import pocket

    return str(pocket.ensure(pocket.Recipe(steps=steps)))


def expanded(rows: Sequence[RankedSet]) -> list[PreferencePair]:
    """Every pair, as TRL takes them."""
    return [pair(row.messages[0].content, row.completions[judged.better], row.completions[judged.worse])
            .model_copy(update={"family": row.family, "prompt_id": row.prompt_id}) for row in rows for judged in row.pairs]


def speed(desk: Desk) -> dict[str, dict[str, float]]:
    """Both engines for the same passes, TRL for as many steps as the ranked engine's seconds allow, and the ranked engine for as
    few steps as those: where a short run is the better one, it is so for both."""
    for engine in ("ranked", "trl"):
        # What a process pays once, imports above all, is no part of either.
        desk.trained(desk.train[:2], engine=engine, trainer={"max_steps": 1})
    found = {name: dict(zip(("accuracy", "cpu_seconds", "steps"), desk.trained(desk.train, engine=engine), strict=True))
             for name, engine in (("ranked", "ranked"), ("trl", "trl"))}
    share = found["ranked"]["cpu_seconds"] / found["trl"]["cpu_seconds"]
    steps = max(1, math.floor(found["trl"]["steps"] * share))
    same = desk.trained(desk.train, engine="trl", trainer={"max_steps": steps})
    few = desk.trained(desk.train, engine="ranked", trainer={"max_steps": steps})
    return found | {name: dict(zip(("accuracy", "cpu_seconds", "steps"), values, strict=True))
                    for name, values in (("trl, same seconds", same), ("ranked, as few steps", few))}


def noise(desk: Desk) -> dict[str, dict[str, float]]:
    """One run for each way to take the reviewers' word."""
    said = reviewed(desk.train, seed=desk.seed)
    rate = min(0.4, said.wrong_by_majority)
    ways = {
        "plain, majority": (said.by_majority, {}),
        "robust, true constant rate": (said.by_majority, {"losses": ("robust",), "noise_rate": rate}),
        "constant posterior at that rate": (with_doubt(said.by_majority, rate), {}),
        "posterior of the reviewer model": (said.by_model, {}),
        "plain, the model's labels": (said.by_model, {"posterior": False}),
        "plain, the truth": (desk.train, {}),
    }
    wrong = {"by_majority": said.wrong_by_majority, "by_model": said.wrong_by_model}
    found = {name: {"accuracy": desk.trained(rows, **changes)[0]} for name, (rows, changes) in ways.items()}
    return found | {"wrong labels": wrong}


def summary(runs: Sequence[dict[str, dict[str, float]]]) -> dict[str, dict[str, object]]:
    """Mean and standard error over seeds of every figure."""
    return {name: {figure: {"mean": round(statistics.fmean(values), 4), "error": error(values), "values": values}
                   for figure in runs[0][name] for values in [[round(run[name][figure], 4) for run in runs]]} for name in runs[0]}


def error(values: Sequence[float]) -> float | None:
    """Standard error of a mean; None for a single value."""
    return round(statistics.stdev(values) / math.sqrt(len(values)), 4) if len(values) > 1 else None


def main() -> None:
    """Measure what was asked for and print it."""
    import torch

    asked = arguments()
    torch.set_num_threads(1)
    runs = []
    for seed in range(asked.seeds):
        with tempfile.TemporaryDirectory() as name:
            runs.append((speed if asked.part == "speed" else noise)(Desk(asked, Path(name), seed)))
    report = {**vars(asked), "results": summary(runs)}
    report.pop("json")
    sys.stdout.write(json.dumps(report) + "\n" if asked.json else table(report))


def table(report: dict) -> str:
    """The figures for people."""
    lines = [", ".join(f"{name} {value}" for name, value in report.items() if name != "results")]
    for name, figures in report["results"].items():
        lines.append(f"{name:34}" + "".join(f"{figure} {own['mean']:<8g}" + (f"+- {own['error']:g}  " if own["error"] else "  ")
                                            for figure, own in figures.items()))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
