"""`python -m review_ui.project.two_steps`: a tiny model is built, trained by two steps of SFT and two of DPO, and thrown away."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from feedback.aggregation.conclusions import Sources
from feedback.ids import ExampleId, FamilyId
from feedback.jsonl import write_rows
from feedback.lineage import Manifest, writing
from feedback.schemas import Message, Prompt
from feedback.training_sets.rows import RankedPair, RankedSet, SftExample
from sft.config import LoraConfig, ModelConfig, SftConfig
from sft.silence import quiet

TRAINER = {"max_steps": 2, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 1, "logging_steps": 1}
ANSWERS = ("30 days.", "Yes, as a PDF.", "5 working days.", "No, never.")
SPECIAL = {"eos_token": "</s>", "pad_token": "<pad>"}
WORSE = ("No idea.", "Ask someone.", "Soon.", "Probably.")


def train(folder: Path) -> list[Manifest]:
    """Two steps of each stage, inside `folder`. Raises whatever the stages raise."""
    from alignment import dpo
    from alignment.config import DpoConfig
    from sft import train as sft

    model = ModelConfig(base=str(tiny_model(folder / "base")), device="cpu", max_length=128)
    lora = LoraConfig(r=4, alpha=8)
    sets = training_sets(folder / "sets")
    first = sft.run(sft.SftStage(model=model, lora=lora, sft=SftConfig(trainer=TRAINER), seed=0), training_sets=sets,
                    parent=None, replay=(), out=folder / "sft")
    second = dpo.run(dpo.DpoStage(model=model, lora=lora, dpo=DpoConfig(trainer=TRAINER), seed=0), training_sets=sets,
                     parent=folder / "sft" / "adapter", reference=None, out=folder / "dpo")
    return [first, second]


def training_sets(folder: Path) -> Path:
    """A handful of rows, as the build stage leaves them."""
    sources = Sources(items=(), completions=(), reviewers=(), ratings=())
    demonstrations, rankings = [], []
    for number, (better, worse) in enumerate(zip(ANSWERS, WORSE, strict=True)):
        prompt = Prompt.of([Message(role="user", content=f"Question {number}?")])
        shared = {"prompt_id": prompt.id, "family": FamilyId(str(number)), "messages": prompt.messages, "sources": sources}
        demonstrations.append(SftExample(id=ExampleId(f"sft-{number}"), completion=better, origin="accepted", **shared))
        pair = RankedPair(better=0, worse=1, origin="ranking")
        rankings.append(RankedSet(id=ExampleId(f"ranking-{number}"), completions=(better, worse), pairs=(pair,), **shared))
    with writing(folder, stage="training_sets", inputs={}, config={}) as draft:
        write_rows(draft.folder / "sft.jsonl", demonstrations)
        write_rows(draft.folder / "rankings.jsonl", rankings)
    return folder


def tiny_model(folder: Path) -> Path:
    """A Llama of a few thousand random weights that reads bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = pre_tokenizers.ByteLevel.alphabet()
    reader = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(sorted(letters))}, merges=[]))
    reader.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    reader.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=reader, **SPECIAL)
    shape = LlamaConfig(vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
                        num_attention_heads=2, max_position_embeddings=256, eos_token_id=tokenizer.eos_token_id,
                        pad_token_id=tokenizer.pad_token_id)
    with quiet():
        LlamaForCausalLM(shape).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def main() -> None:
    """Train, and say on the last line of standard output what was done."""
    with tempfile.TemporaryDirectory(prefix="redpen-two-steps-") as folder:
        sft, dpo = train(Path(folder))
    sys.stdout.write(f"SFT: 2 steps, DPO: 2 steps, threads: {dpo.threads or sft.threads}\n")


if __name__ == "__main__":
    main()
