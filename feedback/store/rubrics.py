"""The rubric's versions: each one that reviewers worked under is kept, and goes on from the one before."""

from __future__ import annotations

from feedback.errors import InvalidInput
from feedback.rubric import Rubric, incompatible
from feedback.store.store import Store

KIND = "rubric"
"""Event that holds a rubric, whole."""

RULE = ("Wording may change, optional questions may be added, and a required one may become optional; anything else would make "
        "what people said before and after answers to different questions. Go back to the old rubric; to ask something else, "
        "keep the old question with `required: false` and add the new one under another name with `required: false`")


def versions(store: Store) -> list[Rubric]:
    """Every rubric that reviewers worked under, oldest first. Ratings name theirs by its hash."""
    return [Rubric.model_validate(event.payload["rubric"]) for event in store.events(KIND)]


def check_goes_on(store: Store, rubric: Rubric) -> None:
    """Raise InvalidInput with every reason why ratings under this rubric could not stand beside those that there are."""
    told = versions(store)
    if told and told[-1].hash == rubric.hash:
        return
    used = {rating.rubric for rating in store.ratings()}
    before = next((one for one in reversed(told) if one.hash in used), None)
    if before is not None and (problems := list(incompatible(before, rubric))):
        told_why = (f"rubric.yaml: {problem}, and there are ratings under the rubric before" for problem in problems)
        raise InvalidInput([*told_why, RULE])
