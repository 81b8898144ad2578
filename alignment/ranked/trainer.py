"""DPO over rankings: TRL's DPOTrainer with every ranking computed once instead of once for each of its pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from accelerate.utils import is_peft_model
from datasets import Dataset
from trl import DPOConfig, DPOTrainer
from trl.trainer.utils import use_adapter

from alignment.ranked.anchoring import base_and_reference, fill_cache, reference_tokens
from alignment.ranked.encoding import Encoding, together
from alignment.ranked.figures import added, forest_figures
from alignment.ranked.head import add_branch_head
from alignment.ranked.judged import Counts, Judged, LogRatios
from alignment.ranked.objective import forest_loss
from alignment.ranked.packing import Forest, tokens_of
from alignment.ranked.pairwise import sigmoid
from alignment.ranked.reference import ReferenceCache, Scope, completion_key, tokenizer_hash
from alignment.ranked.scoring import IMPLEMENTATION, register, score
from alignment.ranked.settings import RankedConfig
from alignment.ranked.stepping import ForestSteps, collate, dataset_of, is_out_of_memory
from alignment.ranked.support import choose
from alignment.ranked.tokens import Reading, read_rankings
from feedback.errors import InvalidInput
from feedback.paths import cache_dir
from feedback.terminal import note
from feedback.training_sets.rows import RankedSet

NOT_HERE = {"use_weighting": False, "ld_alpha": None, "f_divergence_type": "reverse_kl", "sync_ref_model": False,
            "truncation_mode": "keep_start", "loss_type": ["sigmoid"], "label_smoothing": 0.0}
"""TRL settings that the ranked engine does not have, with the value that asks for nothing."""


class RankedTrainer(ForestSteps, DPOTrainer):
    """Trains a policy on rankings; `per_device_train_batch_size` counts rankings, not pairs.

    The reference is the frozen copy that TRL makes of a PeftModel's adapter, the base where `peft_config` adds a fresh one,
    and the model as it is given otherwise. What it says is computed before training and read from the cache then.
    """

    _tag_names = ["trl", "dpo", "redpen", "ranked"]
    section = "dpo"

    def __init__(self, model: Any, args: DPOConfig, *, rankings: Sequence[RankedSet], processing_class: Any,
                 ranked: RankedConfig | None = None, eval_rankings: Sequence[RankedSet] | None = None,
                 encode: Encoding = together, reference: tuple[str, str] | None = None,
                 set_reference: Callable[[Any], None] | None = None, **others: Any) -> None:
        """`reference` names (base, reference adapter) by content hash; without it their weights are hashed.

        `set_reference` is given the model to change its frozen adapter `ref`, before anything is computed with it.
        `encode` turns texts into tokens: TRL's way by default, `encoding.apart` for that of Redpen's other stages.
        `others` go to DPOTrainer: callbacks, optimizers, peft_config.
        """
        self.ranked = ranked or RankedConfig()
        _refuse(args)
        self._trees = []
        self._encode = encode
        self._sums = {}
        self.reading, train = self._read(rankings, processing_class, args)
        evaluated = None if eval_rankings is None else self._read(eval_rankings, processing_class, args)[1]
        # With this flag TRL loads no second copy of a fully trained model from its name, which may be another model.
        asked = args.precompute_ref_log_probs
        args.precompute_ref_log_probs = not (is_peft_model(model) or "peft_config" in others)
        try:
            super().__init__(model=model, args=args, train_dataset=train, eval_dataset=evaluated, data_collator=collate,
                             processing_class=processing_class, **others)
        finally:
            args.precompute_ref_log_probs = asked
        self.precompute_ref_logps = False
        if set_reference is not None:
            set_reference(self.model)
        self._prepare_model(processing_class, reference)

    def _read(self, rankings: Sequence[RankedSet], tokenizer: Any, args: DPOConfig) -> tuple[Reading, Dataset]:
        reading = read_rankings(rankings, tokenizer, max_length=args.max_length, marks=self.ranked.span_mask,
                                encode=self._encode)
        first = len(self._trees)
        self._trees += reading.trees
        return reading, dataset_of(reading.trees, first=first)

    def _prepare_model(self, tokenizer: Any, reference: tuple[str, str] | None) -> None:
        plain = self.model.get_base_model() if is_peft_model(self.model) else self.model
        register()
        add_branch_head(plain)
        self._text_config = plain.config.get_text_config()
        choice = choose(self.model, self.ranked, device=self._device)
        self.path, self._why = choice.path, choice.reason
        if choice.reason and self.accelerator.is_main_process:
            note(choice.reason)
        # The switched attention serves ordinary calls too, and checkpointing needs it until backward ends: it stays.
        if (implementation := IMPLEMENTATION[self.path]) is not None:
            self._text_config._attn_implementation = implementation
        base, adapter = reference or base_and_reference(self.model)
        scope = Scope(base=base, adapter=adapter, dtype=self._precision, attention=self.path, tokenizer=tokenizer_hash(tokenizer))
        self.reference_cache = ReferenceCache(self.ranked.cache or cache_dir() / "reference", scope)
        self._found = sum(key in self.reference_cache for key in self._keys())
        self._compute_reference()

    def _keys(self) -> set[str]:
        return {completion_key(tree.prompt, branch) for tree in self._trees for branch in tree.branches}

    def record(self) -> dict[str, Any]:
        """What the engine did here: the attention path and why, completions found in the cache, tokens computed an epoch."""
        useful, computed = tokens_of(self.reading.trees, self.path, self.ranked.token_budget)
        return {"attention": self.path, "because": self._why, "completions": len(self._keys()), "found_in_cache": self._found,
                "useful_tokens": useful, "computed_tokens": computed, "packing_efficiency": round(useful / computed, 4)}

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def _precision(self) -> str:
        """Of the weights, and of the computation where that is another one."""
        mixed = self.accelerator.mixed_precision
        return str(self.model.dtype) if mixed == "no" else f"{self.model.dtype} in {mixed}"

    def _compute_reference(self) -> None:
        def as_reference() -> AbstractContextManager[Any]:
            if not is_peft_model(self.model):
                return nullcontext()
            return use_adapter(self.model, "ref" if "ref" in self.model.peft_config else None)

        share = {"rank": self.accelerator.process_index, "ranks": self.accelerator.num_processes}
        for part in (share, {"rank": 0, "ranks": 1}):
            try:
                with self.accelerator.autocast():
                    fill_cache(self.model, self._trees, self.reference_cache, path=self.path, budget=self.ranked.token_budget,
                               config=self._text_config, device=self._device, as_reference=as_reference, **part)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                raise self.too_large("the reference", max(tree.tokens for tree in self._trees)) from error
            self.accelerator.wait_for_everyone()
            # What the others computed; without a shared file system there is nothing new and the second turn does it all.
            self.reference_cache.refresh()

    @torch.no_grad()
    def plain_loss(self) -> float:
        """DPO's sigmoid loss of the first trees' pairs as recorded, each counted once, in evaluation mode.

        ln 2 for a policy that is its reference, whatever the judgements, their weights and the losses to train with.
        """
        first = torch.arange(min(len(self.reading.trees), self.args.per_device_train_batch_size))
        forest = Forest(tuple(self._trees[i] for i in self._rows({"trees": first})[0]))
        was_training = self.model.training
        self.model.eval()
        with self.accelerator.autocast():
            scores = score(self.model, forest, self.path, config=self._text_config, device=self._device,
                           budget=self.ranked.token_budget)
        self.model.train(was_training)
        judged = Judged.of(forest, self._device)
        reference = reference_tokens(forest, self.reference_cache, self._device)
        ratios = LogRatios.of(scores.logps, reference, forest, judged, span_mask=False)
        h = self.beta * (ratios.better[judged.better] - ratios.worse[judged.worse])
        return float(sigmoid(h, torch.zeros_like(h)).mean())

    def _precompute_ref_logps(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def row_loss(self, model: Any, forest: Forest, window: Counts, *, idle: bool) -> torch.Tensor:
        """As its base says."""
        device = self.accelerator.device
        scores = score(model, forest, self.path, config=self._text_config, device=device, budget=self.ranked.token_budget)
        if idle:
            return scores.logps.sum().double() * 0
        judged = Judged.of(forest, device)
        reference = reference_tokens(forest, self.reference_cache, device)
        ratios = LogRatios.of(scores.logps, reference, forest, judged, span_mask=self.ranked.span_mask)
        loss = forest_loss(self.ranked, forest, judged, ratios, beta=self.beta, window=window)
        self.stop_unless_finite(loss, forest, ratios.logps)
        self._sums = added(self._sums, forest_figures(forest, scores, judged, ratios, beta=self.beta))
        if self.model.training:
            self._total_train_tokens += len(forest.input_ids)
        return loss

    def evaluate(self, eval_dataset: Any = None, **others: Any) -> dict[str, float]:
        """As TRL's, and also of rankings that were not given at the start."""
        if isinstance(eval_dataset, Sequence) and not isinstance(eval_dataset, str):
            if not is_peft_model(self.model) and self.state.global_step > 0:
                raise InvalidInput("the reference of a fully trained model is gone once training has begun; "
                                   "give these rankings as eval_rankings at the start")
            eval_dataset = self._read(eval_dataset, self.processing_class, self.args)[1]
            self._compute_reference()
        return dict(super().evaluate(eval_dataset=eval_dataset, **others))


def _refuse(args: DPOConfig) -> None:
    given = {name: getattr(args, name) for name in NOT_HERE}
    problems = [f"dpo.trainer.{name} is {value!r}; the ranked engine has only {NOT_HERE[name]!r}: "
                "set dpo.losses and what stands beside it, or dpo.engine: trl"
                for name, value in given.items() if value != NOT_HERE[name]]
    if args.router_aux_loss_coef:
        problems.append(f"dpo.trainer.router_aux_loss_coef is {args.router_aux_loss_coef}; the ranked engine computes no routing "
                        "loss: set it to 0, or dpo.engine: trl")
    if problems:
        raise InvalidInput(problems)
