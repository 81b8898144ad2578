"""Four ways to use the same ratings: SFT alone, SFT with DPO, SFT with RL, and the best of N answers of the SFT policy.

    python -m tests.benchmarks.alignment --json

On the demo's help desk with its pocket model and its simulated reviewers, who here rate straight into the store, without a
server. One round of reviews of the base's answers trains one SFT policy; DPO and the reward model learn from the same pairs;
RL and best-of-N ask that reward model. Each policy answers the held-out and critical questions once, and an oracle that asks
`inspect` judges. Shares with exact 95 % intervals, paired counts against SFT, and CPU seconds of one thread beyond SFT.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from alignment import dpo, reward, rl, rounds, selection, steps
from alignment.config import RlConfig
from alignment.estimating import judge_of
from alignment.project import Project
from alignment.steps import Round
from feedback import simulation
from feedback.config import Strict
from feedback.ids import ReviewerId, unit_interval
from feedback.intervals import clopper_pearson
from feedback.jsonl import read_rows
from feedback.measures import Figure
from feedback.paired import PairedTest, mcnemar_exact
from feedback.schemas import Completion, Prompt, Queue, Rating, Reviewer, ReviewItem, VerdictValue
from feedback.simulation import Judged, SimulatedReviewer
from feedback.store.store import Store
from feedback.terminal import note, print_json, print_table
from feedback.training_sets.rows import PreferencePair
from review_ui.demo import oracle, pocket
from review_ui.demo.run import DemoOptions, open_project
from sft import best_of, generate, train
from sft.config import SamplingConfig
from tests.tiny import tiny_base

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
RL = {"samples": 8, "beta": 0.05, "trainer": {"max_steps": 60, "learning_rate": 4e-4, "per_device_train_batch_size": 64}}
SMALL = {"sft.trainer": "{max_steps: 2}", "dpo.trainer": "{max_steps: 2}", "reward.trainer": "{max_steps: 2}"}
"""For `--tiny`: the whole way on a model of random weights, to try the benchmark itself."""


class Outcome(Strict):
    """How one policy answers questions that nobody trained on."""

    policy: str
    hallucinated: Figure
    correct: Figure
    abstains: Figure
    fewer_hallucinations_than_sft: tuple[int, int] | None
    """Questions on which it stopped, and began, to state something false; None for the base and SFT itself."""
    p: float | None
    """Exact two-sided McNemar on those."""
    train_cpu_seconds: float
    """Beyond the SFT stage; the reward model's are in those of what needs it."""
    answer_cpu_seconds: float
    """For all questions."""


class Report(Strict):
    """Everything measured."""

    seed: int
    base: str
    questions: int
    demonstrations: int
    pairs: int
    reward_held_out_accuracy: Figure
    rl_steps: int
    rl_stopped: str | None
    rl_kl: float
    outcomes: tuple[Outcome, ...]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--best-of", type=int, default=8)
    parser.add_argument("--tiny", action="store_true", help="a model of random weights and two steps each: tries the way, and "
                                                            "measures nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), seed=given.seed, best_of_n=given.best_of, tiny=given.tiny)
    if given.json:
        print_json(report)
    else:
        print_table(COLUMNS, [cells(row) for row in report.outcomes], title=f"{report.questions} held-out questions")


COLUMNS = ("policy", "hallucinated", "correct", "abstains", "against SFT", "CPU s to train", "to answer")


def cells(row: Outcome) -> tuple[str, ...]:
    """One line of the table."""
    shares = [f"{100 * share.value:.0f} [{100 * share.low:.0f}, {100 * share.high:.0f}]"
              for share in (row.hallucinated, row.correct, row.abstains)]
    against = "-"
    if row.fewer_hallucinations_than_sft and row.p is not None:
        against = "-{} +{}, p {:.2g}".format(*row.fewer_hallucinations_than_sft, row.p)
    return (row.policy, *shares, against, f"{row.train_cpu_seconds:.0f}", f"{row.answer_cpu_seconds:.0f}")


def measure(folder: Path, *, seed: int, best_of_n: int, tiny: bool = False) -> Report:
    """The whole way, in a new folder."""
    base = str(tiny_base(folder / "base", hidden=64) if tiny else pocket.ensure())
    project = open_project(DemoOptions(folder=folder / "desk", seed=seed), base)
    project = Project.at(project.folder, ("model.threads=1", *(f"{k}={v}" for k, v in SMALL.items() if tiny)))
    rounds.run(project)
    with project.open_store() as store:
        note(f"{review(project, store, seed=seed)} simulated ratings")
        r = Round(project, store, 1)
        for step in (steps.snapshot, steps.curated, steps.training_sets):
            step(r)
        return _compare(r, best_of_n=best_of_n, tiny=tiny)


def review(project: Project, store: Store, *, seed: int) -> int:
    """Every queued item gets the reviews that it lacks, from the demo's simulated panel in turn."""
    people = {ReviewerId(person.name): person for person in simulation.REVIEWERS}
    store.add_reviewers([Reviewer(id=name, name=name, simulated=True) for name in people])
    items = store.items()
    missing = store.missing_reviews(items)
    texts = {completion.id: completion.text for completion in store.completions()}
    asked = {prompt.id: prompt.text for prompt in store.prompts()}
    ratings = [_rating(item, people[name], project, asked[item.prompt_id], texts, seed=seed)
               for item in items if item.id in missing
               for name in sorted(people, key=lambda name: unit_interval(f"{seed}:{item.id}:{name}"))[:missing[item.id]]]
    return store.append_ratings(ratings)


def _rating(item: ReviewItem, person: SimulatedReviewer, project: Project, question: str, texts: dict[object, str], *,
            seed: int) -> Rating:
    truths = {name: oracle.judge(question, texts[name]) for name in item.completion_ids}
    shown = "\n".join([question, *sorted(texts[name] for name in item.completion_ids)])
    if item.queue is Queue.RANK:
        answer: object = simulation.rank(person, list(truths.items()), shown=shown, seed=seed)
    else:
        (truth,) = truths.values()
        answer = simulation.rate(person, truth, project.rubric, shown=shown, seed=seed)
    return Rating.of(item_id=item.id, reviewer_id=ReviewerId(person.name), version=1, answer=answer, rubric=project.rubric.hash,
                     submitted_at=START + timedelta(minutes=len(shown)), source=f"record-{item.id}")


@contextmanager
def cpu_seconds() -> Iterator[Callable[[], float]]:
    """How much of the processor the block took."""
    begun = time.process_time()
    ended: list[float] = []
    yield lambda: ended[0]
    ended.append(time.process_time() - begun)


def _compare(r: Round, *, best_of_n: int, tiny: bool) -> Report:
    config, sets, out = r.project.config, r.at(steps.SETS), r.project.round(1)
    common = {"model": config.model, "lora": config.lora, "seed": r.seed}
    train.run(train.SftStage(**common, sft=config.sft), training_sets=sets, out=out / "sft")
    parent = out / "sft" / "adapter"
    with cpu_seconds() as dpo_cost:
        dpo.run(dpo.DpoStage(**common, dpo=config.dpo), training_sets=sets, parent=parent, out=out / "dpo")
    with cpu_seconds() as reward_cost:
        reward.run(reward.RewardStage(**common, reward=config.reward), training_sets=sets, out=out / "reward")
    settings = RL | ({"trainer": {"max_steps": 2, "per_device_train_batch_size": 16}, "max_kl": 1e6} if tiny else {})
    stage = rl.RlStage(**common, rl=RlConfig.model_validate(settings), sampling=config.sampling, split=config.split)
    with cpu_seconds() as rl_cost:
        rl.run(stage, prompts=r.project.prompts, reward=out / "reward", training_sets=sets, parent=parent, out=out / "rl")
    questions = selection.audit_prompts(r.project.prompts, config.split, families=config.audit.families)
    asked = _Asked(r, questions)
    judge = judge_of(out / "reward", config.model, among=True)
    rows = [asked.policy("base", None, 0.0), asked.policy("SFT", parent, 0.0),
            asked.policy("SFT, DPO", out / "dpo" / "adapter", dpo_cost()),
            asked.policy("SFT, RL", out / "rl" / "adapter", reward_cost() + rl_cost()),
            asked.best(f"SFT, best of {best_of_n}", parent, judge, best_of_n, reward_cost())]
    metrics = rl.read_metrics(out / "rl")
    return Report(seed=config.seed, base=config.model.base.rpartition("/")[2], questions=len(questions),
                  demonstrations=sum(1 for _ in (sets / "sft.jsonl").open()),
                  pairs=len(read_rows(sets / "pairs.jsonl", PreferencePair)),
                  reward_held_out_accuracy=reward.read_metrics(out / "reward").held_out_accuracy, rl_steps=metrics.adapter_step,
                  rl_stopped=metrics.stopped, rl_kl=metrics.after.kl, outcomes=tuple(rows))


class _Asked:
    """The questions, and what SFT said to them, to compare with."""

    def __init__(self, r: Round, questions: Sequence[Prompt]) -> None:
        self.r = r
        self.questions = questions
        self.of_sft: dict[object, Judged] = {}

    def policy(self, name: str, adapter: Path | None, cost: float) -> Outcome:
        """One answer to each question."""
        stage = generate.GenerateStage(model=self.r.project.config.model, sampling=self._sampling(), seed=self.r.seed)
        out = self.r.project.round(1) / f"answers-{name}"
        with cpu_seconds() as spent:
            generate.run(stage, prompts=self.questions, adapter=adapter, out=out)
        return self._judged(name, out, cost, spent())

    def best(self, name: str, adapter: Path, judge: best_of.Judge, n: int, cost: float) -> Outcome:
        """The best of `n` answers to each question."""
        stage = best_of.BestOfStage(model=self.r.project.config.model, sampling=self._sampling(), seed=self.r.seed, best_of=n)
        out = self.r.project.round(1) / "answers-best"
        with cpu_seconds() as spent:
            best_of.run(stage, prompts=self.questions, adapter=adapter, judge=judge, out=out)
        return self._judged(name, out, cost, spent())

    def _sampling(self) -> SamplingConfig:
        return self.r.project.config.sampling.model_copy(update={"completions": 1})

    def _judged(self, name: str, out: Path, cost: float, answering: float) -> Outcome:
        texts = {prompt.id: prompt.text for prompt in self.questions}
        rows = {row.prompt_id: oracle.judge(texts[row.prompt_id], row.text)
                for row in read_rows(out / "completions.jsonl", Completion)}
        if name == "SFT":
            self.of_sft = dict(rows)
        test = self._against_sft(rows) if self.of_sft and name != "SFT" else None

        def share(of: Callable[[Judged], bool]) -> Figure:
            return clopper_pearson(sum(map(of, rows.values())), len(rows))

        return Outcome(policy=name, hallucinated=share(lambda j: j.hallucinated),
                       correct=share(lambda j: j.verdict is VerdictValue.CORRECT and not j.abstains),
                       abstains=share(lambda j: j.abstains and not j.hallucinated),
                       fewer_hallucinations_than_sft=(test.better, test.worse) if test else None,
                       p=test.p_value if test else None, train_cpu_seconds=cost, answer_cpu_seconds=answering)

    def _against_sft(self, rows: dict[object, Judged]) -> PairedTest | None:
        better = sum(self.of_sft[key].hallucinated and not row.hallucinated for key, row in rows.items())
        worse = sum(row.hallucinated and not self.of_sft[key].hallucinated for key, row in rows.items())
        found = mcnemar_exact(better=better, worse=worse, sided="two")
        return found if isinstance(found, PairedTest) else None


if __name__ == "__main__":
    main()
