"""The table of groups in the report."""

from alignment.curves.pairs import PairReadings, Reading, WatchedPair
from alignment.curves.pictures import groups


def ended(criterion: str | None, *, topic: str, right: bool, count: int = 12) -> tuple[list[WatchedPair], list[float]]:
    pairs = [WatchedPair(f"{topic}-{n}", "criteria" if criterion else "ranking", topic, criterion, 20, 20, apart=False)
             for n in range(count)]
    return pairs, [2.0 if right else -2.0] * count


def test_each_criterion_has_a_line_of_its_own_and_answers_compared_as_wholes_have_none():
    tone, accuracy, whole = (ended("tone", topic="a", right=False), ended("accuracy", topic="b", right=True),
                             ended(None, topic="c", right=True))
    pairs = tuple(tone[0] + accuracy[0] + whole[0])
    reading = Reading(40, tuple(tone[1] + accuracy[1] + whole[1]), (0.0,) * len(pairs))
    found = {row.group: row for row in groups(PairReadings((), pairs, (), (reading,), 0.1))}
    by_criterion = {name: row.figures["accuracy"] for name, row in found.items() if name.startswith("criterion: ")}
    assert by_criterion == {"criterion: accuracy": 1.0, "criterion: tone": 0.0}
    assert found["origin: ranking"].rows == found["topic: c"].rows == 12
