"""Records and searches by chance, for the engine and the model alike."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import strategies as st

from review_ui.appliance import environment, supervisor
from tests.review_ui.appliance.desk import Dataset, Desk, Reviewer
from tests.review_ui.appliance.search_model import Answer, Row, Suggestion, found, nearest
from tests.review_ui.appliance.work_model import Worker, asks_for_work

WORDS = ("red", "Red", "RED", "reed", "green", "apple", "Äpfel", "apfel", "größe", "Grosse", "café", "CAFE", "naïve", "don't",
         "don", "example.com", "3.14", "v2", "2026", "cross-check", "foo_bar", "Łódź", "łodz", "ñandú", "Ωmega", "ωmega",
         "привет", "a", "b", "it's", "x1y2", "e\u0301tude", "étude", "1,000", "true", "null", "or", "and", "NOT", "user",
         "模型", "語言モデル", "型の例", "GPT模型v2", "カタカナ")
TOPICS = ("law", "medicine", "Law", "10", "9", "ärzte", "")
LABELS = ("correct", "wrong", "unclear")
STATUSES = ("submitted", "draft", "discarded")
DIRECTIONS = tuple([round(math.cos(angle), 6), round(math.sin(angle), 6)] for angle in (0.1, 0.9, 1.7, 2.3, 3.3, 4.1, 5.0, 5.9))
"""Vectors of length one, so far from each other that no two scores are the same but of equal ones."""


def items(chance: Random, count: int, *, questions: Mapping[str, str], users: Sequence[str],
          names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Records as the API takes them, with suggestions, responses and vectors; with names of people most have a route."""
    return [{"external_id": f"r{number}", "fields": _fields(chance), "metadata": _metadata(chance) | _route(chance, names),
             "vectors": {"meaning": chance.choice(DIRECTIONS)} if chance.random() < 0.8 else {},
             "suggestions": [{"question_id": questions[name], **one} for name, one in _suggestions(chance).items()],
             "responses": [_response(chance, user) for user in users if chance.random() < 0.4]} for number in range(count)]


def _fields(chance: Random) -> dict[str, Any]:
    fields: dict[str, Any] = {"prompt": _text(chance)}
    if chance.random() < 0.6:
        fields["chat"] = [{"role": chance.choice(("user", "assistant")), "content": _text(chance)}
                          for _ in range(chance.randint(1, 3))]
    if chance.random() < 0.4:
        fields["facts"] = {"city": chance.choice(WORDS), "rows": [{"a": chance.randint(1, 3)}, chance.choice(WORDS)]}
    return fields


def _text(chance: Random) -> str:
    return chance.choice((" ", ", ", "\n")).join(chance.choice(WORDS) for _ in range(chance.randint(1, 7)))


def _metadata(chance: Random) -> dict[str, Any]:
    every = {"topic": chance.choice([*TOPICS, list(chance.sample(TOPICS, 2))]), "length": chance.randint(-3, 3),
             "share": chance.choice((0.0, -0.5, 0.25, 1e-9, 1e12, 3.0))}
    return {name: value for name, value in every.items() if chance.random() < 0.7}


def _route(chance: Random, names: Sequence[str]) -> dict[str, Any]:
    if not names:
        return {}
    every = {"redpen_assigned": chance.sample(names, chance.randint(1, 2)), "redpen_priority": chance.choice((-1, 0, 5, 50)),
             "redpen_reviews_wanted": chance.randint(1, 3)}
    return {name: value for name, value in every.items() if chance.random() < 0.4}


def _suggestions(chance: Random) -> dict[str, dict[str, Any]]:
    every: dict[str, dict[str, Any]] = {
        "accuracy": {"value": chance.randint(1, 5), "score": chance.choice((None, 0.0, 0.5, 1.0))},
        "verdict": {"value": chance.choice(LABELS), "agent": chance.choice((None, "judge", "Judge 2"))},
        "flags": {"value": chance.sample(LABELS, 2), "score": [chance.random(), 0.5]},
        "rewrite": {"value": chance.choice(WORDS), "type": chance.choice((None, "model", "human"))}}
    return {name: one for name, one in every.items() if chance.random() < 0.5}


def _response(chance: Random, user: str) -> dict[str, Any]:
    status = chance.choice(STATUSES)
    values: dict[str, Any] = {"accuracy": chance.randint(1, 5)}
    if chance.random() < 0.7:
        values["verdict"] = chance.choice(LABELS)
    if chance.random() < 0.5:
        values["flags"] = chance.sample(LABELS, chance.randint(1, 3))
    if status != "submitted" and chance.random() < 0.5:
        values.pop("accuracy")
    return {"user_id": user, "status": status, "values": {name: {"value": value} for name, value in values.items()}}


def rows_of(desk: Desk, dataset: Dataset) -> list[Row]:
    """The records as the server holds them, in the order in which they were added."""
    everything = {"include": "responses,suggestions,vectors", "limit": 1000}
    listed = desk.call("GET", f"datasets/{dataset.id}/records", params=everything)["items"]
    names = {id: name for name, id in dataset.questions.items()}
    return sorted((_row(one, names) for one in listed), key=lambda row: int(row.name[1:]))


def _row(one: Mapping[str, Any], names: Mapping[str, str]) -> Row:
    answers = [Answer(given["user_id"], given["status"], {
        name: value["value"] for name, value in (given["values"] or {}).items()}) for given in one["responses"]]
    suggestions = {names[given["question_id"]]: Suggestion(given["value"], given["score"], given["agent"], given["type"])
                   for given in one["suggestions"]}
    at, changed = (datetime.fromisoformat(one[name]).replace(tzinfo=UTC) for name in ("inserted_at", "updated_at"))
    return Row(one["external_id"], one["id"], {name: list(_leaves(value)) for name, value in one["fields"].items()
                                               if value is not None and name != "picture"},
               one["metadata"] or {}, suggestions, answers, one["status"], at, changed, one["vectors"].get("meaning"))


def _leaves(value: Any, key: str = "", *, custom: bool | None = None) -> Iterator[str]:
    """The texts of a field; in a custom one the keys belong to them."""
    custom = isinstance(value, dict) if custom is None else custom
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, name, custom=custom)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, custom=custom)
    elif value is not None:
        yield f"{key} {value}" if custom and key else str(value)


# -- searches

_word = st.sampled_from(WORDS).flatmap(lambda word: st.sampled_from((word, word.upper(), word[:2] + "*", f"-{word}", f"{word}~1",
                                                                     f'"{word}"', word[1:], f"\\{word}")))
_phrase = st.tuples(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), st.sampled_from(("", "~", "~1", "~3", "~x"))).map(
    lambda parts: f'"{" ".join(parts[0])}"{parts[1]}')
_written = st.recursive(_word | _phrase, lambda inner: st.lists(inner, min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from((" ", " | ", " + ", "|", " -", ")(", "*")).map(lambda sign: sign.join(parts))).flatmap(
        lambda text: st.sampled_from((text, f"({text})", f"-({text})"))), max_leaves=6)
_scrawled = st.lists(st.sampled_from([*'+|-"*()~\\ \t.', "red", "apple", "don't", "größe", "a", "3", "\x00", "🙂", "漢"]),
                     max_size=12).map("".join)
texts = st.tuples(_written | _scrawled, st.sampled_from((None, None, "prompt", "chat", "facts"))).map(
    lambda parts: {"text": {"q": parts[0], **({"field": parts[1]} if parts[1] else {})}})

_numbers = st.sampled_from((-3, -1, 0, 0.25, 0.5, 1, 2, 3, 1e12))


def _terms(scope: dict[str, Any], values: Sequence[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=3).map(
        lambda chosen: {"type": "terms", "scope": scope, "values": [str(value) for value in chosen]})


def _range(scope: dict[str, Any], values: st.SearchStrategy[Any] = _numbers) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(st.none() | values, st.none() | values).filter(
        lambda bounds: bounds != (None, None) and (None in bounds or bounds[0] <= bounds[1])).map(
        lambda bounds: {"type": "range", "scope": scope,
                        **{name: bound for name, bound in zip(("ge", "le"), bounds, strict=True) if bound is not None}})


def _metadata_scope(name: str) -> dict[str, Any]:
    return {"entity": "metadata", "metadata_property": name}


def _suggestion_scope(question: str, name: str | None = None) -> dict[str, Any]:
    return {"entity": "suggestion", "question": question, **({"property": name} if name else {})}


def filters(rows: Sequence[Row]) -> st.SearchStrategy[dict[str, Any]]:
    """Every scope and property that can be filtered."""
    moments = sorted({row.inserted_at for row in rows} | {row.updated_at for row in rows})
    dates = st.sampled_from(["2020-01-01", "2100-01-01T00:00:00+00:00", *(at.isoformat() for at in moments[:5])])
    answer = {name: {"entity": "response", "question": name} for name in ("accuracy", "verdict", "flags", "rewrite")}
    return st.one_of(
        _terms(_metadata_scope("topic"), TOPICS), _terms(_metadata_scope("length"), (-1, 0, 2, 3, 99)),
        _terms(_metadata_scope("share"), (0.25, "1e12", "x", 0)),
        _range(_metadata_scope("length")), _range(_metadata_scope("share")),
        _terms(_suggestion_scope("accuracy", "value"), (1, 2, 3, 4)), _range(_suggestion_scope("accuracy", "value")),
        _terms(_suggestion_scope("verdict", "value"), LABELS), _terms(_suggestion_scope("flags", "value"), LABELS),
        _terms(_suggestion_scope("rewrite", "value"), WORDS),
        _terms(_suggestion_scope("verdict", "agent"), ("judge", "Judge 2", "x")),
        _terms(_suggestion_scope("rewrite", "type"), ("model", "human")), _range(_suggestion_scope("accuracy", "score")),
        _range(_suggestion_scope("flags", "score")), _terms(answer["accuracy"], (1, 2, 3, 5)), _range(answer["accuracy"]),
        _terms(answer["verdict"], LABELS), _terms(answer["flags"], LABELS), _terms(answer["rewrite"], WORDS),
        _terms({"entity": "response", "property": "status"}, ("pending", *STATUSES)),
        _terms({"entity": "record", "property": "external_id"}, ("r0", "r7", "r11", "R7", "")),
        _terms({"entity": "record", "property": "status"}, ("pending", "completed")),
        _terms({"entity": "record", "property": "id"}, [rows[0].id, rows[-1].id]),
        _range({"entity": "record", "property": "inserted_at"}, dates),
        _range({"entity": "record", "property": "updated_at"}, dates))


keys = st.tuples(st.sampled_from((
    *({"entity": "record", "property": name} for name in ("id", "external_id", "status", "inserted_at", "updated_at")),
    *(_metadata_scope(name) for name in ("topic", "length", "share")),
    _suggestion_scope("accuracy", "value"), _suggestion_scope("verdict", "value"), _suggestion_scope("flags", "value"),
    _suggestion_scope("accuracy", "score"), _suggestion_scope("flags", "score"), _suggestion_scope("verdict", "agent"),
    _suggestion_scope("rewrite", "type"), {"entity": "response", "question": "accuracy"},
    {"entity": "response", "question": "verdict"}, {"entity": "response", "question": "flags"},
    {"entity": "response", "property": "status"})), st.sampled_from(("asc", "desc"))).map(
        lambda parts: {"scope": parts[0], "order": parts[1]})


neighbours = st.fixed_dictionaries({"name": st.just("meaning"), "order": st.sampled_from(("most_similar", "least_similar")),
                                    "value": st.sampled_from(DIRECTIONS).map(lambda one: [one[0] + 0.03, one[1] - 0.02])})


def bodies(rows: Sequence[Row]) -> st.SearchStrategy[dict[str, Any]]:
    """Search bodies: any of a text, up to three filters, and up to three keys of order."""
    return st.fixed_dictionaries({}, optional={
        "query": texts, "filters": st.lists(filters(rows), min_size=1, max_size=3).map(lambda found: {"and": found}),
        "sort": st.lists(keys, min_size=1, max_size=3)})


# -- the engine


@dataclass
class Door:
    """The engine of an appliance, asked without HTTP."""

    process: subprocess.Popen[str]
    dataset: str

    def ask(self, body: Mapping[str, Any], *, user: str | None, limit: int = 1000, offset: int = 0) -> tuple[list[str], int]:
        """Record ids in order, and the total."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        line = {"dataset": self.dataset, "user": user, "body": body, "limit": limit, "offset": offset}
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["ids"], answer["total"]


@contextmanager
def door(home: Path, dataset: Dataset, *, most_ranked: int | None = None) -> Iterator[Door]:
    """The engine on this home's database, in a process of the appliance's environment."""
    command = [str(environment.ensure()), "-s", str(Path(__file__).with_name("engine_door.py")), str(home)]
    with subprocess.Popen([*command, *([] if most_ranked is None else [str(most_ranked)])], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env={**os.environ, "PYTHONPATH": str(Path(supervisor.__file__).parent)}) as process:
        yield Door(process, dataset.id)
        assert process.stdin is not None
        process.stdin.close()


@dataclass(frozen=True)
class Both:
    """The engine and the model over the same records."""

    door: Door
    rows: Sequence[Row]
    users: Sequence[str | None]

    def agree(self, body: Mapping[str, Any], *, user: str | None, size: int) -> int:
        """How many records both find. Raises AssertionError unless it is the same, in one order, at once and page by page."""
        names = {row.id: row.name for row in self.rows}
        expected = [row.name for row in found(self.rows, body, user=user)]
        ids, total = self.door.ask(body, user=user)
        engine = [names[id] for id in ids]
        assert total == len(expected), (sorted(set(engine) ^ set(expected)), body)
        if body.get("sort") or (user is None and "query" not in body):
            assert engine == expected
        assert sorted(engine) == sorted(expected)
        pages = [self.door.ask(body, user=user, limit=size, offset=offset) for offset in range(0, total + size, size)]
        assert [id for page, _ in pages for id in page] == ids
        assert {counted for _, counted in pages} == {total}
        return total

    def agree_on_neighbours(self, body: Mapping[str, Any], *, user: str | None, limit: int) -> None:
        """Raises AssertionError unless both find the same of those that the rest of the body finds, in one order."""
        expected = nearest(found(self.rows, body, user=user), body["query"]["vector"])[:limit]
        assert self.door.ask(body, user=user, limit=limit) == ([row.id for row in expected], len(expected))

    def agree_on_work(self, body: Mapping[str, Any], person: Worker, *, size: int) -> None:
        """The same of a routed dataset, of which a person sees a part, and their work in the order of its priority."""
        expected = [row for row in found(self.rows, body, user=person.id) if person.sees(row, body)]
        ids, total = self.door.ask(body, user=person.id)
        rows = {row.id: row for row in self.rows}
        assert sorted(ids) == sorted(row.id for row in expected)
        assert total == len(expected)
        if asks_for_work(body) and "query" not in body and "sort" not in body:
            keys = [person.order(rows[id]) for id in ids]
            assert keys == sorted(keys, reverse=True)
        pages = [self.door.ask(body, user=person.id, limit=size, offset=offset) for offset in range(0, total + size, size)]
        assert [id for page, _ in pages for id in page] == ids
        assert {counted for _, counted in pages} == {total}


def populated(desk: Desk, *, seed: int, count: int, routed: bool = False) -> tuple[Dataset, list[Row], list[Reviewer]]:
    """A dataset of so many records, as the model and the server have them, and its three reviewers."""
    dataset = desk.dataset(wanted=2)
    people = [desk.reviewer(dataset) for _ in range(3)]
    users = [person.call("GET", "me")["id"] for person in people]
    names = [*(person.name for person in people), "group:doctors", "nobody"] if routed else []
    desk.add(dataset, items(Random(seed), count, questions=dataset.questions, users=users, names=names))
    return dataset, rows_of(desk, dataset), people
