"""Random searches, asked of the engine on a real server's database and of a model in plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from review_ui.appliance.appliance import Running
from tests.review_ui.appliance.desk import Desk
from tests.review_ui.appliance.search_cases import Both, bodies, door, populated

pytestmark = pytest.mark.argilla

EXAMPLES = 150
RECORDS = 45


@pytest.fixture(scope="module")
def both(desk: Desk, running: Running) -> Iterator[Both]:
    dataset, rows, people = populated(desk, seed=0, count=RECORDS)
    with door(running.owner_file.parent, dataset) as opened:
        yield Both(opened, rows, [None, *(person.call("GET", "me")["id"] for person in people)])


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_engine_finds_what_the_model_finds(both: Both, data: st.DataObject) -> None:
    body = data.draw(bodies(both.rows))
    both.agree(body, user=data.draw(st.sampled_from(both.users)), size=data.draw(st.sampled_from((7, 20))))


def test_a_model_that_is_wrong_is_noticed(both: Both) -> None:
    by_length = {"sort": [{"scope": {"entity": "metadata", "metadata_property": "length"}, "order": "desc"}]}
    alpha = {"query": {"text": {"q": "unheard"}}}
    both.agree({}, user=None, size=7)
    both.agree(by_length, user=None, size=7)
    both.agree(alpha, user=None, size=7)
    changed = replace(both.rows[0], metadata={"length": 99}, texts={"prompt": ["unheard"]})
    for wrong, body in (([*both.rows[1:], both.rows[0]], {}), ([changed, *both.rows[1:]], by_length),
                        ([changed, *both.rows[1:]], alpha), (both.rows[:-1], {})):
        with pytest.raises((AssertionError, KeyError)):
            replace(both, rows=wrong).agree(body, user=None, size=7)
