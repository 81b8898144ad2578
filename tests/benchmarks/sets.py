"""How long a build of training sets takes: `python -m tests.benchmarks.sets --ratings 100000 --json`.

Made-up reviewers rate and rank at random, three to an item: the worst case for what follows, since nobody agrees.
"""

from __future__ import annotations

import argparse
import json
import random
import time

from feedback.schemas import Completion, Decoding, Message, Prompt, RankAnswer
from feedback.store.snapshot import Contents
from feedback.training_sets.write import SetsStage, build
from tests.feedback.reviewed import RUBRIC, rate
from tests.people import BASE, a_rank_item, a_rate_item, a_rating, a_reviewer

PANEL = [a_reviewer(f"sim-{number}") for number in range(20)]
REVIEWS, SHOWN, RANKED = 3, 6, 4
"""Reviewers of each item; answers to each question, and how many of them are ranked side by side; the others are rated."""


class Desk:
    """Questions of random words, their answers, and what the panel said about them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.words = ["".join(self.chance.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(7)) for _ in range(5000)]
        self.prompts, self.completions, self.items, self.ratings = [], [], [], []

    def text(self, count: int) -> str:
        return " ".join(self.chance.choice(self.words) for _ in range(count))

    def ask(self) -> None:
        """One more question, answered, ranked and rated."""
        prompt = Prompt.of([Message(role="user", content=self.text(12))], topic=self.chance.choice(["law", "tax", None]))
        answers = [Completion.of(prompt_id=prompt.id, policy_id=BASE, index=n, text=self.text(60), decoding=Decoding())
                   for n in range(SHOWN)]
        self.prompts.append(prompt)
        self.completions += answers
        self.review(a_rank_item(answers[:RANKED]), lambda: RankAnswer(tiers=tuple(
            (row.id,) for row in self.chance.sample(answers[:RANKED], RANKED))))
        for row in answers[RANKED:]:
            self.review(a_rate_item(row), lambda: rate(self.chance.choice(["correct", "incorrect", "partially correct"]),
                                                       rewrite=self.text(60) if self.chance.random() < 0.1 else None))

    def review(self, item, answer) -> None:
        self.items.append(item)
        self.ratings += [a_rating(item.id, person, answer(), minutes=len(self.ratings), rubric=RUBRIC)
                         for person in self.chance.sample(PANEL, REVIEWS)]

    @property
    def contents(self) -> Contents:
        rows = (sorted(own, key=lambda row: row.id) for own in (self.prompts, self.completions, self.items, self.ratings))
        prompts, completions, items, ratings = map(tuple, rows)
        return Contents(prompts=prompts, completions=completions, items=items, ratings=ratings, reviewers=tuple(PANEL),
                        rubric=RUBRIC)


def main() -> None:
    """Build once, and print the seconds and what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ratings", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    desk = Desk(asked.seed)
    while len(desk.ratings) < asked.ratings:
        desk.ask()
    rewrites = {row.id: row.answer.rewrite for row in desk.ratings if row.answer.rewrite}
    contents, wall, cpu = desk.contents, time.monotonic(), time.process_time()
    made = build(contents, SetsStage(), rewrites=rewrites)
    found = {"ratings": len(desk.ratings), "seconds": round(time.monotonic() - wall, 1),
             "cpu_seconds": round(time.process_time() - cpu, 1), "sft": len(made.sft), "pairs": len(made.pairs),
             "kto": len(made.kto), "rankings": len(made.rankings)}
    print(json.dumps(found) if asked.json else "\n".join(f"{name:12} {value}" for name, value in found.items()))


if __name__ == "__main__":
    main()
