"""DPO over rankings: TRL's DPOTrainer with every ranking computed once instead of once for each of its pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from accelerate.utils import is_peft_model
from datasets import Dataset
from trl import DPOConfig, DPOTrainer
from trl.trainer.utils import use_adapter

from alignment.ranked.anchoring import base_and_reference, fill_cache, reference_tokens
from alignment.ranked.attention import register
from alignment.ranked.figures import Sums, added, forest_figures, means
from alignment.ranked.head import add_branch_head
from alignment.ranked.judged import Counts, Judged, LogRatios
from alignment.ranked.objective import forest_loss
from alignment.ranked.packing import Forest, fill
from alignment.ranked.reference import ReferenceCache, Scope, tokenizer_hash
from alignment.ranked.scoring import IMPLEMENTATION, score
from alignment.ranked.settings import RankedConfig
from alignment.ranked.support import choose
from alignment.ranked.tokens import Reading, read_rankings
from alignment.ranked.trees import Evidence, Tree
from feedback.errors import InvalidInput, StageRefused
from feedback.paths import cache_dir
from feedback.schemas import RankedSet
from feedback.terminal import note

NOT_HERE = {"use_weighting": False, "ld_alpha": None, "f_divergence_type": "reverse_kl", "sync_ref_model": False,
            "truncation_mode": "keep_start", "loss_type": ["sigmoid"], "label_smoothing": 0.0}
"""TRL settings that the ranked engine does not have, with the value that asks for nothing."""


class RankedTrainer(DPOTrainer):
    """Trains a policy on rankings; `per_device_train_batch_size` counts rankings, not pairs.

    The reference is the frozen copy that TRL makes of a PeftModel's adapter, the base where `peft_config` adds a fresh one,
    and the model as it is given otherwise. What it says is computed before training and read from the cache then.
    """

    loss_is_scaled_for_ga = True
    _tag_names = ["trl", "dpo", "redpen", "ranked"]

    def __init__(self, model: Any, args: DPOConfig, *, rankings: Sequence[RankedSet], processing_class: Any,
                 ranked: RankedConfig | None = None, eval_rankings: Sequence[RankedSet] | None = None,
                 evidence: Mapping[str, Evidence] | None = None, reference: tuple[str, str] | None = None, **others: Any) -> None:
        """`reference` names (base, reference adapter) by content hash; without it their weights are hashed.

        `others` go to DPOTrainer: callbacks, optimizers, peft_config.
        """
        self.ranked = ranked or RankedConfig()
        _refuse(args)
        self._trees: list[Tree] = []
        self._evidence = evidence
        self._sums: Sums = {}
        self.reading, train = self._read(rankings, processing_class, args)
        evaluated = None if eval_rankings is None else self._read(eval_rankings, processing_class, args)[1]
        # With this flag TRL loads no second copy of a fully trained model from its name, which may be another model.
        asked = args.precompute_ref_log_probs
        args.precompute_ref_log_probs = not (is_peft_model(model) or "peft_config" in others)
        try:
            super().__init__(model=model, args=args, train_dataset=train, eval_dataset=evaluated, data_collator=_collate,
                             processing_class=processing_class, **others)
        finally:
            args.precompute_ref_log_probs = asked
        self.precompute_ref_logps = False
        self._prepare_model(processing_class, reference)

    def _read(self, rankings: Sequence[RankedSet], tokenizer: Any, args: DPOConfig) -> tuple[Reading, Dataset]:
        reading = read_rankings(rankings, tokenizer, max_length=args.max_length, evidence=self._evidence)
        first = len(self._trees)
        self._trees += reading.trees
        return reading, Dataset.from_dict({"tree": list(range(first, len(self._trees))),
                                           "length": [tree.tokens for tree in reading.trees]})

    def _prepare_model(self, tokenizer: Any, reference: tuple[str, str] | None) -> None:
        plain = self.model.get_base_model() if is_peft_model(self.model) else self.model
        register()
        add_branch_head(plain)
        self._text_config = plain.config.get_text_config()
        choice = choose(self.model, self.ranked, device=self._device)
        self.path = choice.path
        if choice.reason and self.accelerator.is_main_process:
            note(choice.reason)
        # The switched attention serves ordinary calls too, and checkpointing needs it until backward ends: it stays.
        if (implementation := IMPLEMENTATION[self.path]) is not None:
            self._text_config._attn_implementation = implementation
        base, adapter = reference or base_and_reference(self.model)
        scope = Scope(base=base, adapter=adapter, dtype=self._precision, attention=self.path, tokenizer=tokenizer_hash(tokenizer))
        self.reference_cache = ReferenceCache(self.ranked.cache or cache_dir() / "reference", scope)
        self._compute_reference()

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
            with self.accelerator.autocast():
                fill_cache(self.model, self._trees, self.reference_cache, path=self.path, budget=self.ranked.token_budget,
                           config=self._text_config, device=self._device, as_reference=as_reference, **part)
            self.accelerator.wait_for_everyone()
            # What the others computed; without a shared file system there is nothing new and the second turn does it all.
            self.reference_cache.refresh()

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = ["tree", "length"]

    def _rows(self, inputs: Mapping[str, torch.Tensor]) -> list[list[int]]:
        """The batch as rows under the token budget: places in the list of trees."""
        places = inputs["trees"].tolist()
        return [[places[i] for i in group] for group in fill([self._trees[i].tokens for i in places], self.ranked.token_budget)]

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> torch.Tensor:
        """What the window's loss is divided by (`Counts`), over all processes."""
        counts = torch.tensor([Counts.of(Forest((self._trees[i],))).as_list() for batch in batch_samples
                               for i in batch["trees"].tolist()], dtype=torch.float64, device=device).reshape(-1, 4).sum(0)
        return self.accelerator.reduce(counts, reduction="sum")

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: torch.Tensor | None = None) -> torch.Tensor:
        """Forward and backward, row by row, so that memory depends on the token budget and not on the batch."""
        rows = self._rows(inputs)
        # Every process does as many passes as the one with most: a pass more or less would leave the others waiting.
        passes = int(self.accelerator.gather(torch.tensor([len(rows)], device=self.accelerator.device)).max())
        total = torch.zeros((), dtype=torch.float64, device=self.accelerator.device)
        for turn in range(passes):
            idle = turn >= len(rows)
            batch = {"trees": torch.tensor(rows[0][:1] if idle else rows[turn]), "idle": idle}
            with nullcontext() if turn == passes - 1 else self.accelerator.no_sync(model):
                total += self._row_step(model, batch, num_items_in_batch)
        self._report("train")
        return total

    def _row_step(self, model: Any, batch: dict[str, Any], window: torch.Tensor | None) -> torch.Tensor:
        try:
            return super().training_step(model, batch, window)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "allocate memory" not in str(error):
                raise
            raise StageRefused(f"out of memory at step {self.state.global_step} with a row of "
                               f"{sum(self._trees[i].tokens for i in batch['trees'].tolist())} tokens; lower ranked.token_budget "
                               f"(now {self.ranked.token_budget}) or model.max_length (now {self.args.max_length}), or set "
                               "activation_checkpointing: true; the last checkpoint is intact") from error

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False,
                     num_items_in_batch: torch.Tensor | None = None) -> Any:
        """The batch's part of its window's loss; without a window, the mean over the batch's own pairs."""
        rows = self._rows(inputs)
        if num_items_in_batch is None:
            window, share = self._own_counts(rows), 1
        else:
            # Processes average their gradients; each one's part of the sum has to be taken as many times.
            window, share = Counts(*num_items_in_batch.tolist()), self.accelerator.num_processes
        loss = sum((self._row_loss(model, row, window, idle=inputs.get("idle", False)) for row in rows),
                   torch.zeros((), dtype=torch.float64, device=self.accelerator.device)) * share
        return (loss, None) if return_outputs else loss

    def _own_counts(self, rows: list[list[int]]) -> Counts:
        own = [Counts.of(Forest((self._trees[i],))).as_list() for row in rows for i in row]
        return Counts(*map(sum, zip(*own, strict=True)))

    def _row_loss(self, model: Any, row: list[int], window: Counts, *, idle: bool) -> torch.Tensor:
        device = self.accelerator.device
        forest = Forest(tuple(self._trees[i] for i in row))
        scores = score(model, forest, self.path, config=self._text_config, device=device, budget=self.ranked.token_budget)
        if idle:
            return scores.logps.sum().double() * 0
        judged = Judged.of(forest, device)
        reference = reference_tokens(forest, self.reference_cache, device)
        ratios = LogRatios.of(scores.logps, reference, forest, judged, span_mask=self.ranked.span_mask)
        loss = forest_loss(self.ranked, forest, judged, ratios, beta=self.beta, window=window)
        self._stop_unless_finite(loss, forest, ratios)
        self._sums = added(self._sums, forest_figures(forest, scores, judged, ratios, beta=self.beta))
        if self.model.training:
            self._total_train_tokens += len(forest.input_ids)
        return loss

    def _stop_unless_finite(self, loss: torch.Tensor, forest: Forest, ratios: LogRatios) -> None:
        if torch.isfinite(loss):
            return
        sizes = [tree.size for tree in forest.trees]
        bad = [tree.name for tree, logps in zip(forest.trees, ratios.logps.split(sizes), strict=True)
               if not torch.isfinite(logps).all()]
        raise StageRefused(f"the loss at step {self.state.global_step} is {loss.item()}, from "
                           f"{', '.join(bad) or 'the weights of ' + ', '.join(tree.name for tree in forest.trees)}; nothing was "
                           "saved after the last checkpoint. Lower learning_rate, or leave these rankings out")

    def _report(self, mode: str) -> None:
        """Add this batch's figures, of all processes, to what the next log says."""
        if self.accelerator.num_processes > 1:
            names = sorted(self._sums)
            both = torch.tensor([self._sums[name] for name in names], dtype=torch.float64, device=self.accelerator.device)
            self._sums = dict(zip(names, self.accelerator.reduce(both, reduction="sum").tolist(), strict=True))
        for name, value in means(self._sums):
            self._metrics[mode][name].append(value)
        tokens = torch.tensor(float(self._total_train_tokens), dtype=torch.float64, device=self.accelerator.device)
        self._metrics[mode]["num_tokens"] = [self.accelerator.reduce(tokens, reduction="sum").item()]
        self._sums = {}

    def prediction_step(self, model: Any, inputs: Any, prediction_loss_only: bool,
                        ignore_keys: list[str] | None = None) -> tuple[torch.Tensor, None, None]:
        """The loss of a batch that is not trained on."""
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        self._report("eval")
        return loss.float(), None, None

    def evaluate(self, eval_dataset: Any = None, **others: Any) -> dict[str, float]:
        """As TRL's, and also of rankings that were not given at the start."""
        if isinstance(eval_dataset, Sequence) and not isinstance(eval_dataset, str):
            if not is_peft_model(self.model) and self.state.global_step > 0:
                raise InvalidInput("the reference of a fully trained model is gone once training has begun; "
                                   "give these rankings as eval_rankings at the start")
            eval_dataset = self._read(eval_dataset, self.processing_class, self.args)[1]
            self._compute_reference()
        return dict(super().evaluate(eval_dataset=eval_dataset, **others))

    def floating_point_ops(self, inputs: Mapping[str, Any]) -> int:
        """Six per parameter and computed token, as transformers counts."""
        tokens = sum(self._trees[i].tokens for i in inputs["trees"].tolist())
        return 6 * tokens * sum(weight.numel() for weight in self.model.parameters())


def _collate(rows: list[dict[str, int]]) -> dict[str, torch.Tensor]:
    return {"trees": torch.tensor([row["tree"] for row in rows])}


def _refuse(args: DPOConfig) -> None:
    given = {name: getattr(args, name) for name in NOT_HERE}
    problems = [f"dpo.trainer.{name} is {value!r}; the ranked engine has only {NOT_HERE[name]!r}: "
                "set its losses under dpo.ranked, or use engine: trl"
                for name, value in given.items() if value != NOT_HERE[name]]
    if args.router_aux_loss_coef:
        problems.append(f"dpo.trainer.router_aux_loss_coef is {args.router_aux_loss_coef}; the ranked engine computes no routing "
                        "loss: set it to 0, or use engine: trl")
    if problems:
        raise InvalidInput(problems)
