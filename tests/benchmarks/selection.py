"""What choosing saves: labels needed to reach an accuracy, chosen against random. `python -m tests.benchmarks.selection --json`.

The selection is the real one (`alignment.selection.choose`); what learns is not a language model but an ensemble of linear
Bradley-Terry models on simulated answers, whose true merit is a known linear function of their features, and the (simulated)
reviewers who rank them are right as often as such merits tell apart. So it says whether the rule can save labels where its
assumptions hold, not how many it saves on a desk. Every figure is a mean over seeds with its 95 % interval.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from alignment.selection import Signal, choose
from feedback.config import SelectionConfig
from feedback.schemas import Message, Prompt

FEATURES, TOPICS, ANSWERS, MEMBERS = 12, 4, 4, 5
POOL, HELD_OUT, BATCH, ROUNDS = 400, 300, 6, 24
WAYS = {"random": SelectionConfig(random_share=1.0), "chosen, half at random": SelectionConfig(),
        "chosen, a tenth at random": SelectionConfig(random_share=0.1),
        "chosen, topics not spread": SelectionConfig(topics=False)}


@dataclass(frozen=True)
class World:
    """Simulated prompts with answers of known merit. Axes: I prompts, K answers, F features."""

    features: np.ndarray
    """(I, K, F)"""
    merit: np.ndarray
    """(I, K)"""
    prompts: list[Prompt]


def world(chance: np.random.Generator, true: np.ndarray, count: int) -> World:
    """Answers to prompts of TOPICS topics; in each topic other features vary most, and some topics are rare."""
    topic = chance.choice(TOPICS, size=count, p=[0.55, 0.25, 0.15, 0.05])
    spread = np.where(np.arange(FEATURES)[None] // (FEATURES // TOPICS) == topic[:, None], 1.5, 0.4)
    features = chance.normal(size=(count, ANSWERS, FEATURES)) * spread[:, None]
    prompts = [Prompt.of([Message(role="user", content=f"simulated {place}")], topic=f"topic {own}")
               for place, own in enumerate(topic)]
    return World(features, features @ true, prompts)


def pairs_of(world: World, places: Sequence[int], chance: np.random.Generator) -> np.ndarray:
    """(P, F) feature differences, better minus worse as reviewers of the simulated kind see it."""
    rows = []
    for place in places:
        for i, j in combinations(range(ANSWERS), 2):
            gap = world.merit[place, i] - world.merit[place, j]
            right = chance.random() < 1 / (1 + np.exp(-0.7 * gap))
            rows.append((1 if right else -1) * (world.features[place, i] - world.features[place, j]))
    return np.array(rows)


def fitted(rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weights of a Bradley-Terry model with a ridge, by Newton's method."""
    found = np.zeros(rows.shape[1])
    for _ in range(12):
        chance = 1 / (1 + np.exp(-rows @ found))
        slope = rows.T @ (weight * (1 - chance)) - found
        bend = (rows * (weight * chance * (1 - chance))[:, None]).T @ rows + np.eye(rows.shape[1])
        found = found + np.linalg.solve(bend, slope)
    return found


def ensemble(rows: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """(M, F) members by the Bayesian bootstrap, as the reward ensemble's."""
    return np.array([fitted(rows, chance.exponential(size=len(rows))) for _ in range(MEMBERS)])


def signals(members: np.ndarray, pool: World, places: Sequence[int]) -> dict[str, Signal]:
    """What the members say of prompts: the mean gap of their mean, and their spread about each prompt's mean."""
    scores = np.einsum("ikf,mf->mik", pool.features[list(places)], members)
    scores = scores - scores.mean(axis=2, keepdims=True)
    mean = scores.mean(axis=0)
    gaps = np.mean([np.abs(mean[:, i] - mean[:, j]) for i, j in combinations(range(ANSWERS), 2)], axis=0)
    spread = scores.std(axis=0, ddof=1).mean(axis=1)
    return {pool.prompts[place].id: Signal(margin=float(gap), disagreement=float(own))
            for place, gap, own in zip(places, gaps, spread, strict=True)}


def accuracy(members: np.ndarray, judged: World) -> float:
    """Share of true held-out pairs that the mean member orders rightly."""
    scores = np.einsum("ikf,f->ik", judged.features, members.mean(axis=0))
    return float(np.mean([(scores[:, i] - scores[:, j]) * (judged.merit[:, i] - judged.merit[:, j]) > 0
                          for i, j in combinations(range(ANSWERS), 2)]))


def course(way: SelectionConfig, seed: int) -> list[float]:
    """Held-out accuracy after each batch of ranked prompts."""
    chance = np.random.default_rng(seed)
    true = chance.normal(size=FEATURES)
    pool, judged = world(chance, true, POOL), world(chance, true, HELD_OUT)
    place_of = {prompt.id: place for place, prompt in enumerate(pool.prompts)}
    taken: list[int] = []
    members, rows, found = None, np.zeros((0, FEATURES)), []
    for turn in range(ROUNDS):
        left = [place for place in range(POOL) if place not in set(taken)]
        known = signals(members, pool, left) if members is not None else {}
        chosen = choose([pool.prompts[place] for place in left], known, count=BATCH, config=way, salt=f"{seed}:{turn}")
        new = [place_of[one.prompt.id] for one in chosen]
        taken += new
        rows = np.concatenate([rows, pairs_of(pool, new, np.random.default_rng([seed, turn]))])
        members = ensemble(rows, np.random.default_rng([seed, turn, 1]))
        found.append(accuracy(members, judged))
    return found


def needed(found: Sequence[float], aim: float) -> int:
    """Ranked prompts until the accuracy is reached; one batch more than all when it never is."""
    return BATCH * (1 + next((turn for turn, value in enumerate(found) if value >= aim), ROUNDS))


def measure(seeds: int, aim: float) -> dict[str, dict[str, object]]:
    """For each way the prompts needed, and what it saves against random on the same seed."""
    courses = {name: [course(way, seed) for seed in range(seeds)] for name, way in WAYS.items()}
    prompts = {name: [needed(found, aim) for found in own] for name, own in courses.items()}
    return {name: {
        "prompts_needed": interval(own),
        "saved_against_random": interval([base - n for base, n in zip(prompts["random"], own, strict=True)]),
        "never_reached": sum(n > BATCH * ROUNDS for n in own),
        "accuracy_after_60": interval([found[60 // BATCH - 1] for found in courses[name]]),
    } for name, own in prompts.items()}


def interval(values: Sequence[float]) -> dict[str, float]:
    """Mean and normal 95 % interval over seeds."""
    mean, half = statistics.fmean(values), 1.96 * statistics.stdev(values) / math.sqrt(len(values))
    return {"mean": round(mean, 3), "low": round(mean - half, 3), "high": round(mean + half, 3)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--aim", type=float, default=0.94, help="held-out pair accuracy to reach")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    report = {"seeds": asked.seeds, "aim": asked.aim, "batch": BATCH, "results": measure(asked.seeds, asked.aim)}
    if asked.json:
        sys.stdout.write(json.dumps(report) + "\n")
        return
    for name, own in report["results"].items():
        sys.stdout.write(f"{name:28}" + "  ".join(f"{figure} {value}" for figure, value in own.items()) + "\n")


if __name__ == "__main__":
    main()
