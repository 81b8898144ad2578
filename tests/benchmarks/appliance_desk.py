"""A project's store pushed to an appliance, as `redpen review push` does it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from feedback.config import DeskConfig, QueueConfig
from feedback.desk.argilla_desk import connect
from feedback.desk.push import push
from feedback.desk.setup import setup
from feedback.schemas import Completion, Decoding
from feedback.store.store import Store
from tests.benchmarks.appliance_home import sentences
from tests.benchmarks.timing import seconds
from tests.people import BASE, a_prompt, a_rate_item, a_rubric
from tests.review_ui.appliance.desk import Desk


def pushed_a_second(desk: Desk, count: int) -> float:
    """So many answers of 1 kB to one question, each an item of its own, go from a new store into a new workspace."""
    url, key = str(desk.client.base_url).rstrip("/"), desk.credentials["X-Argilla-Api-Key"]
    prompt = a_prompt()
    answers = [Completion.of(prompt_id=prompt.id, policy_id=BASE, index=place, text=text, decoding=Decoding())
               for place, text in enumerate(sentences(count, np.random.default_rng(3)))]
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "store.db") as store:
        store.add_prompts([prompt])
        store.add_completions(answers)
        store.add_items([a_rate_item(answer) for answer in answers])
        with_key = connect(DeskConfig(workspace="pushed"), url=url, api_key=key)
        try:
            setup(with_key, a_rubric(), QueueConfig())
            taken = seconds(lambda: push(with_key, store, a_rubric()))
        finally:
            with_key.close()
    return count / taken
