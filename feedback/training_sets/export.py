"""Training sets leave the house: for TRL, as JSON Lines, as Parquet, or to the Hugging Face Hub.

An export is a folder with a record of its own, so `redpen verify` can walk its rows as it walks the training sets.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from feedback.config import Strict
from feedback.errors import InvalidInput, LineageError, MissingPart, NothingToDo
from feedback.ids import canonical_json
from feedback.lineage import Draft, Manifest, changed_files, read_manifest, writing
from feedback.training_sets.card import SetsCard
from feedback.training_sets.dataset_card import dataset_card
from feedback.training_sets.trl_rows import KINDS, TRAINER, Kind, Row, features, read_kinds

Form = Literal["trl", "jsonl", "parquet", "hub"]
FORMS: tuple[Form, ...] = get_args(Form)
STAGE = "export"


class ExportConfig(Strict):
    """How training sets are written for others."""

    form: Form
    licence: str = "unknown"


def run(config: ExportConfig, *, training_sets: Path, out: Path) -> Manifest:
    """Write every kind of row that there is, and README.md, into the new folder `out`.

    `trl`: a `datasets` folder for each kind (`load_from_disk`). `jsonl`, `parquet`: a file for each kind (`load_dataset`).
    `hub`: as `parquet`; pushing is another step. Raises InvalidInput when `out` is there or `training_sets` are none,
    LineageError when they were altered, NothingToDo when they hold no row.
    """
    if out.exists():
        raise InvalidInput(f"{out}: is there already; choose a new folder")
    made_from = read_manifest(training_sets)
    if made_from.stage != "training_sets":
        raise InvalidInput(f"{training_sets}: made by the stage {made_from.stage!r}, not by `build`; "
                           "name a folder of training sets")
    if problems := changed_files(training_sets):
        raise LineageError("\n".join(problems))
    kinds = {kind: rows for kind, rows in read_kinds(training_sets).items() if rows and (config.form != "trl" or TRAINER[kind])}
    if not kinds:
        raise NothingToDo(f"{training_sets}: no rows in it; nothing was written")
    with writing(out, stage=STAGE, inputs={"training_sets": made_from.hash}, config=config) as draft:
        files = {kind: _write(config.form, kind, rows, draft) for kind, rows in kinds.items()}
        (draft.folder / "README.md").write_text(_card(config, training_sets, made_from, kinds, files), encoding="utf-8")
    return read_manifest(out)


def _card(config: ExportConfig, training_sets: Path, made_from: Manifest, kinds: Mapping[Kind, Sequence[Row]],
          files: Mapping[Kind, str]) -> str:
    card = SetsCard.model_validate_json((training_sets / "card.json").read_text(encoding="utf-8"))
    topics = Counter(row["topic"] or "none" for row in kinds.get("sft", []))
    return dataset_card(card, made_from, files, {kind: len(rows) for kind, rows in kinds.items()}, licence=config.licence,
                        topics=topics, simulated=card.simulated)


def _write(form: Form, kind: Kind, rows: Sequence[Row], draft: Draft) -> str:
    """Write one kind and return its path inside the folder."""
    draft.counts[kind] = len(rows)
    if form == "jsonl":
        path = f"{kind}.jsonl"
        (draft.folder / path).write_text("".join(canonical_json(row) + "\n" for row in rows), encoding="utf-8")
        return path
    dataset = _dataset(kind, rows)
    if form == "trl":
        dataset.save_to_disk(str(draft.folder / kind))
        return kind
    path = f"data/{kind}.parquet"
    (draft.folder / "data").mkdir(exist_ok=True)
    dataset.to_parquet(str(draft.folder / path))
    return path


def _dataset(kind: Kind, rows: Sequence[Row]) -> Any:
    try:
        from datasets import Dataset, disable_progress_bars
    except ImportError:
        raise MissingPart("Hugging Face `datasets` is not installed: pip install -c constraints.txt '.[train]', "
                          "or export with --to jsonl") from None
    disable_progress_bars()
    return Dataset.from_list(list(rows), features=features(kind))


def exported_rows(folder: Path) -> Iterator[tuple[Path, Kind, Row]]:
    """(file or dataset, kind, row) for every row of an export, whatever its form."""
    form = ExportConfig.model_validate(read_manifest(folder).config).form
    for kind in KINDS:
        path = folder / {"jsonl": f"{kind}.jsonl", "trl": kind}.get(form, f"data/{kind}.parquet")
        if path.exists():
            yield from ((path, kind, row) for row in _read_back(path, form))


def _read_back(path: Path, form: Form) -> Iterable[Row]:
    if form == "jsonl":
        return (json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line)
    if form == "trl":
        from datasets import load_from_disk

        rows: Iterable[Row] = load_from_disk(str(path))
    else:
        import pyarrow.parquet  # the datasets library would keep a copy of every file in its cache

        rows = pyarrow.parquet.read_table(path).to_pylist()
    return rows
