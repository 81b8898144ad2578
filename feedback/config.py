"""Configuration: frozen strict models, and a YAML reader whose errors name the file, the key and what is allowed."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from feedback.errors import InvalidInput

Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole, 0 to 1."""


class Strict(BaseModel):
    """Base of every value that crosses a file: frozen, no unknown keys, attribute docstrings as descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class PasswordPolicy(Strict):
    """What passwords on Redpen's own Argilla must be like. Length is what counts (NIST SP 800-63B)."""

    min_length: int = Field(default=12, ge=8, le=100)
    """Characters."""
    min_different: int = Field(default=5, ge=1, le=50)
    """Different characters among them."""


class RoutingConfig(Strict):
    """Who reviews what, on Redpen's own Argilla: priorities, assignment, and as many reviews of an item as it wants."""

    enabled: bool = False
    """Route records. Without it Argilla shows every record to everybody, in a random order, until it has its reviews."""
    reserve_minutes: float = Field(default=15, gt=0, le=24 * 60)
    """How long a reviewer's next records are kept for them, from the last answer they saved."""
    reserve_records: int = Field(default=5, ge=1, le=50)
    """How many are kept."""
    groups: dict[str, tuple[str, ...]] = {}
    """User names by group. May be changed at any time; a restart of `redpen serve` tells the server."""
    assign: dict[str, tuple[str, ...]] = {}
    """Topic of a prompt -> the people who review it: user names, or `group:NAME`. Other topics are for everybody."""

    @model_validator(mode="after")
    def _groups_exist(self) -> Self:
        self.check_names(name for names in self.assign.values() for name in names)
        return self

    def check_names(self, names: Iterable[str]) -> None:
        """Raise ValueError when one names a group that there is not."""
        unknown = sorted({name for name in names if name.startswith("group:") and name.removeprefix("group:") not in self.groups})
        if unknown:
            allowed = ", ".join(f"group:{name}" for name in sorted(self.groups)) or "none"
            raise ValueError(f"{unknown[0]!r} is no group; `routing: groups:` has {allowed}")


class DeskConfig(Strict):
    """Which Argilla the reviewers work in."""

    url: str | None = None
    """Address of an Argilla 2.x server. Without one, Redpen's own appliance is used."""
    api_key_env: str = "ARGILLA_API_KEY"
    """Environment variable that holds the API key of an owner. The key itself never stands in a file here."""
    workspace: str = "redpen"
    """Argilla workspace that holds the review datasets."""
    routing: RoutingConfig = RoutingConfig()
    passwords: PasswordPolicy | None = None
    """Rules for passwords on Redpen's own server. Required before it listens beyond this machine."""


class SelectionConfig(Strict):
    """Which of the answered prompts are ranked, where a policy or a reward model can say which teach most."""

    random_share: Share = 0.5
    """Part of the ranked sets that is taken at random. What is estimated of all answers is estimated from these alone."""
    margin: bool = True
    """Take sets first whose answers the champion hardly tells apart: small differences of log-ratio to its parent."""
    disagreement: bool = True
    """Take sets first on which the members of the reward ensemble disagree."""
    topics: bool = True
    """Spread the chosen sets over the topics as evenly as the topics last."""


class QueueConfig(Strict):
    """What reviewers are asked for each round, beside the audit."""

    rate_items: int = Field(default=100, ge=0)
    """Single answers to rate, each round."""
    rank_items: int = Field(default=60, ge=0)
    """Prompts whose answers are ranked side by side, each round."""
    rank_size: int = Field(default=4, ge=2, le=6)
    """Answers shown side by side."""
    reviews: int = Field(default=1, ge=1)
    """Reviewers asked for each of these items."""
    audit_reviews: int = Field(default=2, ge=1)
    """Reviewers asked for each audit item."""
    gold_share: float = Field(default=0.05, ge=0, lt=1)
    """Part of the single answers that are gold: their verdict is known, from `gold.jsonl`. Without that file there are none."""
    most_reviews: int = Field(default=0, ge=0)
    """Reviews that an item may get where its verdict is not sharp by those asked for; 0: never more than asked for."""
    sure: float = Field(default=0.95, gt=0.5, lt=1)
    """Probability of a verdict from which it is sharp."""
    second_review_share: Share = 0.0
    """Part of the items, by chance, that get a second review however sharp the first made the verdict: agreement among reviewers
    is measured on these."""
    adjudicate: bool = True
    """Put items on which reviewers are split before one more person, with what was said; that person's word stands."""
    adjudicators: tuple[str, ...] = ()
    """Argilla user names who settle them; empty: any reviewer. Heeded where records are routed."""
    selection: SelectionConfig = SelectionConfig()
    enough: Share = 0.9
    """Part of a queue's reviews that must be in before the next round trains on them."""


Act = Literal["off", "flag", "drop"]
"""What a check does with a row: nothing; point it out and keep it; leave it out with its reason."""


class PiiConfig(Strict):
    """Personal data in questions, answers, rewrites and comments. Snapshots and all that follows hold the masked texts."""

    look: Literal["auto", "on", "off"] = "auto"
    """`auto`: where the packages of the `curation` extra are installed, and said where they are not; `on`: refuse without
    them."""
    mask: tuple[Literal["email", "phone", "iban", "card", "ip", "national id", "person"], ...] = (
        "email", "phone", "iban", "card", "ip", "national id")
    """Replaced by placeholders such as `<EMAIL_302941>`, the same for the same value in the whole project."""
    flag: tuple[Literal["email", "phone", "iban", "card", "ip", "national id", "person"], ...] = ("person",)
    """Only pointed out. Names by default: a small English model finds them, and takes some other words for names."""


class CurationConfig(Strict):
    """What is changed, pointed out or dropped before anything is trained on."""

    max_prompt_characters: int = Field(default=20_000, ge=1)
    """Longer prompts are dropped, with their answers."""
    max_completion_characters: int = Field(default=20_000, ge=1)
    """Longer answers are dropped."""
    min_prompt_characters: int = Field(default=1, ge=1)
    """Shorter prompts are dropped, with their answers."""
    min_completion_characters: int = Field(default=1, ge=1)
    """Shorter answers are dropped."""
    repair_unicode: bool = True
    """Mend texts that were read in the wrong encoding, lone surrogates and stray control characters; compose letters (NFC). Needs
    ftfy, of the `curation` extra; the card says so where it is missing."""
    pii: PiiConfig = PiiConfig()
    terminology: str | None = None
    """A file of preferred and forbidden terms, such as terminology.yaml. Changes texts only where a term of it says so."""
    languages: tuple[str, ...] = ()
    """ISO 639-1 codes of the languages wanted, such as [en, de]; empty allows any."""
    language: Act = "flag"
    """What happens to a text of 40 letters or more that is in another language."""
    repetition: Act = "flag"
    """What happens to an answer that repeats itself. Judged bad by people it is still of use: as the rejected one of a pair."""
    max_repetition: Share = 0.6
    """Share of an answer's words that stand in a passage which was there before."""
    near_duplicates: Literal["off", "flag"] = "flag"
    """Answers to one question that differ in spelling or one slip. They are never dropped: a word may be the whole difference."""
    contamination: Act = "drop"
    """What happens to training rows that hold the text of a held-out or critical question, or of its reference."""
    contamination_words: int = Field(default=8, ge=3)
    """Words in a row that count as one passage."""
    contamination_share: Share = 0.5
    """Share of such passages of a held-out text that must recur; of a text with up to 3 of them, all."""
    contradictions: Literal["off", "flag"] = "flag"
    """Accepted answers to one question that disagree, and answers whose date has passed."""
    moderation: Literal["off", "flag"] = "flag"
    """Weak hints from a list of patterns: violence, self-harm, sexual content, slurs, illegal acts. Never a gate."""


class SplitConfig(Strict):
    """Which prompt families are never trained on."""

    held_out_share: float = Field(default=0.2, gt=0, lt=1)
    """Share of prompt families held out for the audit, beside all of `critical.jsonl`."""
    salt: str = "redpen"
    """Changes which families those are. Changing it in a running project leaks held-out families into training."""


class SetsConfig(Strict):
    """How verdicts become training rows."""

    accept_accuracy: float = Field(default=4, ge=1, le=5)
    """Mean accuracy from which an answer with the verdict `correct` becomes a demonstration, as on a scale from 1 to 5; the
    rubric's own scale is stretched to it."""
    accept_tone: float = Field(default=3, ge=1, le=5)
    """Mean tone from which it does, on the same scale."""
    accept_safety: float = Field(default=4, ge=1, le=5)
    """Mean safety from which it does, and from which an answer counts as safe, on the same scale."""
    decisive_gap: float = Field(default=1.0, gt=0)
    """How far apart the mean ratings of two answers must be, in steps of a five-point scale, for one of the rubric's priorities
    to decide between them."""
    max_reviewer_share: float = Field(default=0.5, gt=0, le=1)
    """Most of a training set that may rest on one reviewer; whose share is larger counts less. Needs more reviewers than 1 /
    this."""
    mixture: dict[str, Annotated[float, Field(gt=0, le=1)]] = {}
    """Topic -> its share of the demonstrations. Topics that are not named divide the rest as they are."""
    origin_weights: dict[Literal["ranking", "rewrite", "span", "verdict", "criteria"], Annotated[float, Field(gt=0)]] = {}
    """What a pair counts by where it comes from; 1 where nothing is said."""
    licence: str = "unknown"
    """Under which the rows may be used, for the dataset card: an identifier such as cc-by-4.0."""


Model = TypeVar("Model", bound=BaseModel)


class _Plain(yaml.SafeLoader):
    """YAML 1.2's booleans, true and false alone: `look: off` is the word that it looks like, and `no` is Norwegian."""


_BOOL = "tag:yaml.org,2002:bool"
_Plain.yaml_implicit_resolvers = {first: [(tag, pattern) for tag, pattern in known if tag != _BOOL]
                                  for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_Plain.add_implicit_resolver(_BOOL, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def _parsed(text: str) -> Any:
    loader = _Plain(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def read_yaml(path: Path, model: type[Model], overrides: Sequence[str] = ()) -> Model:
    """Read `path` as a `model`, with `a.b=value` overrides applied (values are read as YAML).

    The file's first key is `kind:`, and it must be the model's. Raises InvalidInput with every problem, each as
    `file: key: what was found; what is allowed`.
    """
    data = read_mapping(path)
    for override in overrides:
        apply_override(data, override)
    return validate(data, model, source=str(path))


def read_mapping(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file. Raises InvalidInput when it is missing, not UTF-8, not YAML or not keys and values."""
    try:
        data = _parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidInput(f"{path}: no such file; `redpen init DIR` writes one") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path}: not UTF-8; save the file as UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise InvalidInput(f"{path}{where}: not YAML: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(data, dict):
        raise InvalidInput(f"{path}: found {type(data).__name__}; expected keys and values, the first `kind:`")
    return data


def validate(data: Mapping[str, Any], model: type[Model], *, source: str) -> Model:
    """`data` as a `model`; raises InvalidInput with every problem, each prefixed by `source`."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InvalidInput([f"{source}: {text}" for text in describe(error, model)]) from None


def describe(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Each validation problem as one line: key, what was found, what is allowed."""
    return [_describe_one(detail, model) for detail in error.errors(include_url=False)]


def _describe_one(detail: ErrorDetails, model: type[BaseModel]) -> str:
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
    match detail["type"]:
        case "extra_forbidden":
            allowed = fields_at(model, detail["loc"][:-1])
            near = difflib.get_close_matches(str(detail["loc"][-1]), allowed, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"allowed: {', '.join(allowed)}"
            return f"{key}: unknown key; {hint}"
        case "missing":
            return f"{key}: missing; it is required"
        case "value_error":
            return f"{key + ': ' if key else ''}{detail['ctx']['error']}"
        case _:
            found = repr(detail["input"])
            shown = found if len(found) <= 80 else found[:77] + "..."
            return f"{key + ': ' if key else ''}found {shown}; {detail['msg'][0].lower()}{detail['msg'][1:]}"


def fields_at(model: type[BaseModel], path: Sequence[int | str]) -> list[str]:
    """The field names of the model that a path of keys leads to; empty when the path leaves the known models."""
    current: list[type[BaseModel]] = [model]
    for part in path:
        if isinstance(part, int):
            continue
        fields = [m.model_fields[part] for m in current if part in m.model_fields]
        # In a union pydantic puts the member's tag into the path; it names no field, and the candidates stay.
        current = [inner for f in fields for inner in _models_in(f.annotation)] if fields else current
    return sorted({name for m in current for name in m.model_fields})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for inner in typing.get_args(annotation) for model in _models_in(inner)]


def apply_override(data: dict[str, Any], override: str) -> None:
    """Set one dotted key, such as `dpo.beta=0.2`; the value is read as YAML. Raises InvalidInput when it is no `key=value`."""
    key, sign, text = override.partition("=")
    if not sign or not key:
        raise InvalidInput(f"override {override!r} has no `=`; write key.inner=value, such as dpo.beta=0.2")
    *parents, last = key.split(".")
    for parent in parents:
        data = data.setdefault(parent, {})
        if not isinstance(data, dict):
            raise InvalidInput(f"override {override!r}: `{parent}` holds a plain value, not keys")
    data[last] = _parsed(text)
