"""The steps of one round: what each reads, which stage does it, and where the result lies.

Every step returns its finished folder. It is skipped when that folder is current: same configuration, same inputs,
unaltered files. Folders that people have acted on (sealed snapshots, queues) are made once and kept.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from alignment import registry, selection
from alignment.project import Project
from feedback import gold
from feedback.errors import LineageError
from feedback.gold import Gold
from feedback.ids import PolicyId, PromptId, RatingId, content_hash
from feedback.jsonl import read_rows, write_rows
from feedback.lineage import MANIFEST, Manifest, changed_files, manifest_hash, plain, read_manifest, writing
from feedback.schemas import Completion, GoldAnswer, Prompt, Purpose, Queue, Rating, ReviewItem
from feedback.terminal import note
from feedback.training_sets.rows import PreferencePair, SftExample

if TYPE_CHECKING:
    from feedback.guardrails.masking import SnapshotMask
    from feedback.store.store import Store

Row = TypeVar("Row", Prompt, Completion, ReviewItem)

SNAPSHOT, CURATED, SETS = "01_snapshot", "02_curated", "03_training_sets"
SFT, DPO, REWARD, RL = "05_sft", "06_dpo", "06_reward", "06_rl"
SAMPLES, CHAMPION_SAMPLES = "07_samples", "07_champion_samples"
AUDIT_ITEMS, AUDIT_SNAPSHOT = "08_audit_items", "09_audit_snapshot"
EVALUATION, DECISION, QUEUE = "10_evaluation", "11_decision", "12_queue"


@dataclass(frozen=True)
class Round:
    """One round of a project, and the store its people's work is in."""

    project: Project
    store: Store
    number: int

    def at(self, step: str) -> Path:
        """The folder of a step."""
        return self.project.round(self.number) / step

    def done(self, step: str) -> bool:
        """The step has finished."""
        return (self.at(step) / MANIFEST).exists()

    @property
    def champion(self) -> PolicyId | None:
        """Who was champion when this round began; None for the base."""
        return registry.champion(self.store, before_round=self.number)

    @property
    def champion_adapter(self) -> Path | None:
        """The champion's adapter folder; None for the base."""
        return registry.adapter_of(self.project.policies, self.champion)

    @property
    def learned_rounds(self) -> list[int]:
        """Earlier rounds whose candidate was promoted: what the champion has been trained on."""
        return [event.round for event in registry.promotions(self.store) if event.round < self.number]

    @property
    def candidate_adapter(self) -> Path | None:
        """The adapter this round trained: of its last training step. None in round 0."""
        done = [step for step in (RL, DPO, SFT) if self.done(step)]
        return self.at(done[0]) / "adapter" if done else None

    @property
    def seed(self) -> int:
        """Differs from round to round."""
        return self.project.config.seed * 10_000 + self.number


def made(out: Path, config: BaseModel | dict[str, Any], upstream: Sequence[Path | str], make: Callable[[], Manifest]) -> Path:
    """Run `make` unless `out` is finished, unaltered, and came from this configuration and these folders (or input hashes)."""
    hashes = {folder if isinstance(folder, str) else manifest_hash(folder) for folder in upstream}
    if (out / MANIFEST).exists() and _is_from(out, config, hashes):
        return out
    note(f"{out.parent.name}/{out.name} ...")
    make()
    return out


def _is_from(out: Path, config: BaseModel | dict[str, Any], hashes: set[str]) -> bool:
    try:
        manifest = read_manifest(out)
    except LineageError:
        return False
    return manifest.config == plain(config) and hashes <= set(manifest.inputs.values()) and not changed_files(out)


def kept(out: Path, make: Callable[[], Manifest]) -> Path:
    """Run `make` unless `out` is finished: for what people have acted on. Raises LineageError when it was altered since."""
    if (out / MANIFEST).exists():
        if problems := changed_files(out):
            raise LineageError("\n".join(problems) + "\nrestore the file from a copy; what people reviewed cannot be made again")
        return out
    note(f"{out.parent.name}/{out.name} ...")
    make()
    return out


def snapshot(r: Round) -> Path:
    """Seal the ratings that the champion has not learned from."""
    from feedback.store.snapshot import seal

    learned: set[RatingId] = set()
    for number in r.learned_rounds:
        learned |= {rating.id for rating in read_rows(r.project.round(number) / SNAPSHOT / "ratings.jsonl", Rating)}
    return kept(r.at(SNAPSHOT), lambda: seal(r.store, purpose=Purpose.TRAIN, rounds=None, rubric=r.project.rubric,
                                             out=r.at(SNAPSHOT), exclude=frozenset(learned), mask=mask_of(r.project)))


def mask_of(project: Project) -> SnapshotMask | None:
    """What takes personal data out of the project's snapshots, as its configuration says."""
    from feedback.guardrails.masking import project_mask

    return project_mask(project.folder, project.config.curation.pii)


def curated(r: Round) -> Path:
    """Drop what must not train, each with its reason; mend, mask and point out the rest."""
    from feedback.curation import curate
    from feedback.curation.aids import gather_aids
    from feedback.training_sets.split import held_out_families

    config, prompts = r.project.config.curation, [*r.project.prompts, *r.store.prompts()]
    held_out = held_out_families(prompts, r.project.config.split)
    aids = gather_aids(config, project=r.project.folder, held_out=[row for row in prompts if row.family in held_out])
    # A held-out question that is added while a round waits does not undo what the round has done: the split keeps it out.
    return made(r.at(CURATED), config, [r.at(SNAPSHOT), aids.hashes["terminology"]],
                lambda: curate.run(config, snapshot=r.at(SNAPSHOT), out=r.at(CURATED), aids=aids))


def training_sets(r: Round) -> Path:
    """Verdicts, and the rows that follow from them. Raises NothingToDo when there are none."""
    from feedback.training_sets import write

    stage = write.SetsStage(sets=r.project.config.training_sets, split=r.project.config.split)
    # The store remembers questions that were held out and have left the files since: what is near to them stays out as well.
    return made(r.at(SETS), stage, [r.at(CURATED)], lambda: write.run(
        stage, curated=r.at(CURATED), out=r.at(SETS), known=[*r.project.prompts, *r.store.prompts()]))


def sft(r: Round) -> Path | None:
    """Continue the champion's adapter on demonstrations; None when there are too few."""
    config = r.project.config
    rows = len(read_rows(r.at(SETS) / "sft.jsonl", SftExample))
    if not _is_due(r, SFT, enabled=config.sft.enabled, found=rows, wanted=config.sft.min_examples, what="demonstrations"):
        return None
    from sft import train

    stage = train.SftStage(model=config.model, lora=config.lora, sft=config.sft, seed=r.seed)
    replay = [r.project.round(number) / SETS for number in r.learned_rounds]
    return made(r.at(SFT), stage, [r.at(SETS), *_adapter_hash(r.champion_adapter)],
                lambda: train.run(stage, training_sets=r.at(SETS), parent=r.champion_adapter, replay=replay, out=r.at(SFT)))


def _is_due(r: Round, step: str, *, enabled: bool, found: int, wanted: int, what: str) -> bool:
    """True when a training step has enough to learn from; else say why not, and remove what an earlier configuration made."""
    if enabled and found >= wanted:
        return True
    note(f"{r.number:04d}/{step} skipped: {found} {what}, wanted {wanted}, enabled: {enabled}")
    shutil.rmtree(r.at(step), ignore_errors=True)
    return False


def dpo(r: Round) -> Path | None:
    """Continue this round's SFT adapter on preferences; None when there are too few."""
    config = r.project.config
    rows = len(read_rows(r.at(SETS) / "pairs.jsonl", PreferencePair))
    if not _is_due(r, DPO, enabled=config.dpo.enabled, found=rows, wanted=config.dpo.min_pairs, what="pairs"):
        return None
    from alignment import dpo as stage_of

    stage = stage_of.DpoStage(model=config.model, lora=config.lora, dpo=config.dpo, seed=r.seed)
    parent = r.at(SFT) / "adapter" if r.done(SFT) else r.champion_adapter
    return made(r.at(DPO), stage, [r.at(SETS), *_adapter_hash(parent)], lambda: stage_of.run(
        stage, training_sets=r.at(SETS), parent=parent, reference=_initial_reference(r), replay=_dpo_replay(r), out=r.at(DPO)))


def _dpo_replay(r: Round) -> list[Path]:
    """Training sets of the rounds that the champion has learned from, those with preferences; none unless they are asked for."""
    if r.project.config.dpo.replay_share == 0:
        return []
    earlier = [r.project.round(number) / SETS for number in r.learned_rounds]
    return [folder for folder in earlier if read_rows(folder / "pairs.jsonl", PreferencePair)]


def _adapter_hash(adapter: Path | None) -> list[str]:
    from sft.adapters import input_hash

    return [input_hash(adapter)] if adapter else []


def _initial_reference(r: Round) -> Path | None:
    """With `reference: initial`, the first SFT policy among the champion's ancestors; None means the round's own."""
    if r.project.config.dpo.reference == "round":
        return None
    earlier = [r.project.round(number) / SFT / "adapter" for number in r.learned_rounds]
    return next((adapter for adapter in earlier if adapter.is_dir()), None)


def reward(r: Round) -> Path | None:
    """A reward model from the same preferences; None when there are too few."""
    config = r.project.config
    rows = len(read_rows(r.at(SETS) / "pairs.jsonl", PreferencePair))
    if not _is_due(r, REWARD, enabled=config.reward.enabled, found=rows, wanted=config.reward.min_pairs, what="pairs"):
        return None
    from alignment import reward as stage_of

    stage = stage_of.RewardStage(model=config.model, lora=config.lora, reward=config.reward, seed=r.seed)
    return made(r.at(REWARD), stage, [r.at(SETS)], lambda: stage_of.run(stage, training_sets=r.at(SETS), out=r.at(REWARD)))


def rl(r: Round) -> Path | None:
    """Train this round's newest adapter against its reward model; None unless that is enabled and there is one."""
    config = r.project.config
    models = int(r.done(REWARD))
    if not config.rl.enabled and not r.done(RL):
        return None
    if not _is_due(r, RL, enabled=config.rl.enabled, found=models, wanted=1, what="reward models"):
        return None
    from alignment import rl as stage_of

    stage = stage_of.RlStage(model=config.model, lora=config.lora, rl=config.rl, sampling=config.sampling, split=config.split,
                             seed=r.seed)
    trained = [step for step in (DPO, SFT) if r.done(step)]
    parent = r.at(trained[0]) / "adapter" if trained else r.champion_adapter
    return made(r.at(RL), stage, [r.at(SETS), r.at(REWARD), *_adapter_hash(parent)], lambda: stage_of.run(
        stage, prompts=r.project.prompts, reward=r.at(REWARD), training_sets=r.at(SETS), parent=parent, out=r.at(RL)))


def samples(r: Round) -> Path:
    """The candidate's answers (in round 0 the base's) to the audit prompts, one each."""
    wanted = audit_list(r)
    return _sampled(r, wanted, r.candidate_adapter, completions=1, out=r.at(SAMPLES))


def champion_samples(r: Round) -> Path | None:
    """The champion's answers to audit prompts it was never reviewed on; None when there are none such."""
    if r.number == 0:
        return None
    policy = r.champion or base_policy(r.project)
    reviewed = {completion.prompt_id for completion in r.store.completions() if completion.policy_id == policy}
    audited = {item.prompt_id for item in r.store.items(purpose=Purpose.AUDIT) if item.round < r.number}
    missing = [prompt for prompt in audit_list(r) if prompt.id not in reviewed & audited]
    return _sampled(r, missing, r.champion_adapter, completions=1, out=r.at(CHAMPION_SAMPLES)) if missing else None


def audit_list(r: Round) -> list[Prompt]:
    """The prompts that judge a candidate."""
    config = r.project.config
    return selection.audit_prompts(r.project.prompts, config.split, families=config.audit.families)


def base_policy(project: Project) -> PolicyId:
    """The base's policy id, as round 0 recorded it."""
    return read_rows(project.round(0) / SAMPLES / "completions.jsonl", Completion)[0].policy_id


def _sampled(r: Round, prompts: Sequence[Prompt], adapter: Path | None, *, completions: int, out: Path) -> Path:
    from sft import generate

    sampling = r.project.config.sampling.model_copy(update={"completions": completions})
    stage = generate.GenerateStage(model=r.project.config.model, sampling=sampling, seed=r.seed)
    asked = content_hash("prompts", sorted(prompt.id for prompt in prompts))
    return made(out, stage, [asked, *_adapter_hash(adapter)],
                lambda: generate.run(stage, prompts=prompts, adapter=adapter, out=out))


def audit_items(r: Round) -> Path:
    """Queue every audit answer for review."""
    sources = [r.at(SAMPLES), *([r.at(CHAMPION_SAMPLES)] if r.done(CHAMPION_SAMPLES) else [])]
    reviews = r.project.config.queues.audit_reviews
    completions = [row for folder in sources for row in read_rows(folder / "completions.jsonl", Completion)]
    items = [ReviewItem.of(queue=Queue.RATE, purpose=Purpose.AUDIT, round=r.number, prompt_id=row.prompt_id,
                           completion_ids=[row.id], reviews=reviews) for row in completions]
    known = _gold(r, beside=len(items), reviews=reviews, queued=False)
    items += [item for item, _ in known]
    config = {"reviews": reviews} | ({"gold": [item.id for item, _ in known]} if known else {})
    out = made(r.at(AUDIT_ITEMS), config, sources, lambda: _write_items(
        out=r.at(AUDIT_ITEMS), sources=sources, config=config, items=items))
    enqueue(r.store, [*audit_list(r), *(one.prompt for _, one in known)], [*completions, *(one.completion for _, one in known)],
            items, [one.answer(item) for item, one in known])
    return out


def _gold(r: Round, *, beside: int, reviews: int, queued: bool) -> list[tuple[ReviewItem, Gold]]:
    """Known answers to mix into so many other items; into a round's queue none that its audit holds."""
    made_before = [item for item in r.store.items(purpose=Purpose.GOLD) if item.round < r.number + queued]
    asked = Counter(item.completion_ids[0] for item in made_before)
    now = {item.completion_ids[0] for item in made_before if item.round == r.number}
    free = [one for one in r.project.gold if one.completion.id not in now]
    picked = gold.chosen(free, asked=asked, beside=beside, share=r.project.config.queues.gold_share, salt=f"{r.seed}:{queued}")
    among = None if queued else Purpose.AUDIT
    return [(one.item(round=r.number, reviews=reviews, beside=among), one) for one in picked]


def _write_items(*, out: Path, sources: Sequence[Path], config: dict[str, Any], items: Sequence[ReviewItem]) -> Manifest:
    inputs = {folder.name: manifest_hash(folder) for folder in sources}
    with writing(out, stage="audit_items", inputs=inputs, config=config) as draft:
        draft.counts["items"] = write_rows(draft.folder / "items.jsonl", _by_id(items))
    return read_manifest(out)


def enqueue(store: Store, prompts: Sequence[Prompt], completions: Sequence[Completion], items: Sequence[ReviewItem],
            known: Sequence[GoldAnswer] = ()) -> None:
    """Hand items to the desk through the store; what is there already stays as it is."""
    store.add_prompts(prompts)
    store.add_completions(completions)
    store.add_items(items)
    store.append_gold(known)


def queue(r: Round) -> Path:
    """The champion answers new prompts, and the answers are queued for review."""
    out = kept(r.at(QUEUE), lambda: _make_queue(r))
    enqueue(r.store, read_rows(out / "prompts.jsonl", Prompt), read_rows(out / "completions.jsonl", Completion),
            read_rows(out / "items.jsonl", ReviewItem), _known_answers(out))
    return out


def _known_answers(queue: Path) -> list[GoldAnswer]:
    # Queues made by Redpen 0.1 have no such file.
    return read_rows(queue / "gold.jsonl", GoldAnswer) if (queue / "gold.jsonl").exists() else []


def _make_queue(r: Round) -> Manifest:
    config = r.project.config
    champion = registry.adapter_of(r.project.policies, registry.champion(r.store))
    asked: Counter[PromptId] = Counter(item.prompt_id for item in r.store.items(purpose=Purpose.TRAIN) if item.round < r.number)
    # Twice the sets: short answers repeat themselves, and a set needs different ones.
    count = 2 * config.queues.rank_items + config.queues.rate_items
    prompts = selection.queue_prompts(r.project.prompts, config.split, asked=asked, count=count, seed=config.seed, round=r.number)
    sampled = _sampled(r, prompts, champion, completions=config.sampling.completions, out=r.at(QUEUE + "_samples"))
    completions = read_rows(sampled / "completions.jsonl", Completion)
    selected = selection.queue_items(prompts, completions, queues=config.queues, round=r.number, seed=config.seed,
                                     judge=_judge(r))
    items, reasons = selected.items, sorted(selected.why, key=lambda why: why.item_id)
    known = _gold(r, beside=sum(item.queue is Queue.RATE for item in items), reviews=config.queues.reviews, queued=True)
    items += [item for item, _ in known]
    shown = {completion for item in items for completion in item.completion_ids}
    asked_now = {item.prompt_id for item in items}
    every_prompt = {p.id: p for p in [*prompts, *(one.prompt for _, one in known)]}
    with writing(r.at(QUEUE), stage="queue", inputs={"samples": manifest_hash(sampled)}, config=plain(config.queues)) as draft:
        write_rows(draft.folder / "prompts.jsonl", _by_id(p for p in every_prompt.values() if p.id in asked_now))
        write_rows(draft.folder / "completions.jsonl", _by_id(
            c for c in [*completions, *(one.completion for _, one in known)] if c.id in shown))
        draft.counts["items"] = write_rows(draft.folder / "items.jsonl", _by_id(items))
        draft.counts["chosen"] = sum(why.how == "chosen" for why in selected.why)
        write_rows(draft.folder / "why.jsonl", reasons)
        draft.counts["gold"] = write_rows(draft.folder / "gold.jsonl", [one.answer(item) for item, one in known])
    return read_manifest(r.at(QUEUE))


def _by_id(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.id)


def _judge(r: Round) -> selection.Judge | None:
    """The champion against its parent, and the newest reward model, as far as there are any."""
    from alignment.signals import judge_of
    from sft.adapters import read_policy

    config, champion = r.project.config, registry.adapter_of(r.project.policies, registry.champion(r.store))
    wanted = config.queues.selection
    parent = read_policy(champion).parent if champion else None
    folders = [*r.project.policies.glob("policy-*"), *(r.project.round(n) / SFT / "adapter" for n in r.project.round_numbers)]
    known = {read_policy(folder).policy_id: folder for folder in folders if parent and folder.is_dir()}
    return judge_of(config.model, policy=champion if wanted.margin else None, parent=known.get(parent) if parent else None,
                    reward=r.at(REWARD) if wanted.disagreement and r.done(REWARD) else None)
