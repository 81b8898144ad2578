"""What both ranked trainers do with a batch of rankings: rows under the token budget, one window, the same refusals."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from datasets import Dataset

from alignment.ranked.figures import Sums, means
from alignment.ranked.judged import Counts
from alignment.ranked.packing import Forest, fill
from alignment.ranked.settings import RowsConfig
from alignment.ranked.trees import Tree
from feedback.errors import StageRefused


def dataset_of(trees: list[Tree], *, first: int) -> Dataset:
    """What the dataloader draws from: places in the trainer's list of trees, and lengths to group by."""
    return Dataset.from_dict({"tree": list(range(first, first + len(trees))), "length": [tree.tokens for tree in trees]})


def collate(rows: list[dict[str, int]]) -> dict[str, torch.Tensor]:
    """A batch is the places of its trees."""
    return {"trees": torch.tensor([row["tree"] for row in rows])}


def is_out_of_memory(error: Exception) -> bool:
    """The device or the machine could not hold what was asked; torch says so on a CPU with a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)


class ForestSteps:
    """Stands before a TRL trainer in the list of bases; the class itself says what a row costs (`row_loss`)."""

    loss_is_scaled_for_ga = True
    ranked: RowsConfig
    section: str
    """Where its settings stand in redpen.yaml."""
    _trees: list[Tree]
    _sums: Sums

    def row_loss(self, model: Any, forest: Forest, window: Counts, *, idle: bool) -> torch.Tensor:
        """One row's part of the window's loss, float64; an idle row passes through the model and counts nothing."""
        raise NotImplementedError

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
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
            if not is_out_of_memory(error):
                raise
            tokens = sum(self._trees[i].tokens for i in batch["trees"].tolist())
            raise self.too_large(f"step {self.state.global_step}", tokens) from error

    def too_large(self, where: str, tokens: int) -> StageRefused:
        """What to say and what to lower when memory runs out."""
        return StageRefused(f"out of memory at {where} with a row of {tokens} tokens; lower {self.section}.token_budget (now "
                            f"{self.ranked.token_budget}) or model.max_length (now {self.args.max_length}), or set "
                            f"{self.section}.trainer.activation_checkpointing: true. The last checkpoint is intact: with a "
                            "lower budget or checkpointing on, the run goes on from it")

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Keep the last good checkpoint: weights that are not numbers are not written over it."""
        broken = [name for name, weight in self.model.named_parameters() if weight.requires_grad and not weight.isfinite().all()]
        if broken:
            raise StageRefused(f"after step {self.state.global_step} {len(broken)} trained weights are not finite, the first "
                               f"{broken[0]}; this checkpoint was not written. Lower {self.section}.trainer.learning_rate")
        super()._save_checkpoint(model, trial)

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False,
                     num_items_in_batch: torch.Tensor | None = None) -> Any:
        """The batch's part of its window's loss; without a window, the mean over the batch's own pairs."""
        rows = self._rows(inputs)
        if num_items_in_batch is None:
            window, share = self._own_counts(rows), 1
        else:
            # Processes average their gradients; each one's part of the sum has to be taken as many times.
            window, share = Counts(*num_items_in_batch.tolist()), self.accelerator.num_processes
        forests = [Forest(tuple(self._trees[i] for i in row)) for row in rows]
        loss = sum((self.row_loss(model, forest, window, idle=inputs.get("idle", False)) for forest in forests),
                   torch.zeros((), dtype=torch.float64, device=self.accelerator.device)) * share
        return (loss, None) if return_outputs else loss

    def _own_counts(self, rows: list[list[int]]) -> Counts:
        own = [Counts.of(Forest((self._trees[i],))).as_list() for row in rows for i in row]
        return Counts(*map(sum, zip(*own, strict=True)))

    def stop_unless_finite(self, loss: torch.Tensor, forest: Forest, numbers: torch.Tensor) -> None:
        """Raise StageRefused naming the rankings at fault; `numbers` has one for each completion."""
        if torch.isfinite(loss):
            return
        sizes = [tree.size for tree in forest.trees]
        bad = [tree.name for tree, own in zip(forest.trees, numbers.split(sizes), strict=True)
               if not torch.isfinite(own).all()]
        raise StageRefused(f"the loss at step {self.state.global_step} is {loss.item()}, from "
                           f"{', '.join(bad) or 'the weights of ' + ', '.join(tree.name for tree in forest.trees)}. Nothing was "
                           f"saved after the last checkpoint. Lower {self.section}.trainer.learning_rate, or leave these "
                           "rankings out")

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

    def floating_point_ops(self, inputs: Mapping[str, Any]) -> int:
        """Six per parameter and computed token, as transformers counts."""
        tokens = sum(self._trees[i].tokens for i in inputs["trees"].tolist())
        return 6 * tokens * sum(weight.numel() for weight in self.model.parameters())
