"""A stage's configuration from a project file, a base and overrides, for commands that run one stage alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from feedback.config import Model, apply_override, read_mapping, validate
from feedback.errors import InvalidInput


def stage_config(model: type[Model], *, file: Path | None, base: str | None, overrides: Sequence[str] = ()) -> Model:
    """The sections of `file` (a redpen.yaml) that belong to this stage, with overrides and `base` applied.

    Raises InvalidInput with every problem, and when neither the file nor `base` names a base model.
    """
    data = read_mapping(file) if file else {}
    for override in overrides:
        apply_override(data, override)
        section = override.partition("=")[0].split(".")[0]
        if section not in model.model_fields:
            raise InvalidInput(f"override {override!r}: this stage has no `{section}`; allowed: {', '.join(model.model_fields)}")
    if base is not None:
        apply_override(data, "model.base=x")
        data["model"]["base"] = base
    if "model" not in data:
        raise InvalidInput("no base model named; give --base, or --config with a project's redpen.yaml")
    return validate({key: data[key] for key in model.model_fields if key in data}, model, source=str(file or "command line"))
