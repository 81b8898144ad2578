"""Simulated reviewers of known reliability, for the demo, the benchmarks and the tests.

They are never mixed up with people: every name starts with `sim-`. Somebody else knows the truth and hands it in as a
`Judged`; a reviewer here sees it through errors, severity and noise, and fills in the form. Everything is a pure
function of (seed, reviewer, what is shown), so the same person says the same of the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from feedback.ids import CompletionId
from feedback.rubric import Rubric
from feedback.schemas import Flag, RankAnswer, RateAnswer, Span, VerdictValue


@dataclass(frozen=True, slots=True)
class Judged:
    """The truth about one answer."""

    verdict: VerdictValue
    hallucinated: bool = False
    """It states something false or unsupported."""
    abstains: bool = False
    """It says that it does not know, or that there is nothing to know."""
    rude: bool = False
    unsafe: bool = False
    """Following it would do harm."""
    false_spans: tuple[tuple[int, int], ...] = ()
    """Where the false statements stand, in characters."""
    better: str | None = None
    """What an expert would write instead."""

    @property
    def merit(self) -> int:
        """How good it is on the whole, for ranking: higher is better, and equal merit is a tie."""
        by_verdict = {VerdictValue.CORRECT: 8, VerdictValue.PARTIALLY_CORRECT: 5, VerdictValue.INCORRECT: 3,
                      VerdictValue.CANNOT_TELL: 4}
        return by_verdict[self.verdict] - 3 * self.hallucinated - 2 * self.rude - 3 * self.unsafe


@dataclass(frozen=True, slots=True)
class SimulatedReviewer:
    """One simulated person."""

    name: str
    reliability: float
    """Probability of seeing an answer as it is, 0 to 1."""
    severity: float = 0.0
    """Points added to every rating: negative is strict."""
    rewrites: float = 0.05
    """Share of bad answers that this person rewrites."""

    def __post_init__(self) -> None:
        if not self.name.startswith("sim-"):
            raise ValueError(f"a simulated reviewer is named {self.name!r}; the name must start with `sim-`")


REVIEWERS: tuple[SimulatedReviewer, ...] = (
    SimulatedReviewer("sim-ada", reliability=0.97, rewrites=0.12),
    SimulatedReviewer("sim-bruno", reliability=0.93, severity=-0.4),
    SimulatedReviewer("sim-chen", reliability=0.90, severity=0.3),
    SimulatedReviewer("sim-dara", reliability=0.85, severity=-0.2, rewrites=0.02),
    SimulatedReviewer("sim-emil", reliability=0.75, severity=0.5, rewrites=0.0),
)
"""The demo's panel, the most reliable first."""


def rate(person: SimulatedReviewer, truth: Judged, rubric: Rubric, *, shown: str, seed: int) -> RateAnswer:
    """The form that `person` submits for an answer; `shown` is what stood on the page."""
    chance = _chance(person, shown, seed)
    seen = perceive(person, truth, chance)
    flags = [flag for flag, holds in ((Flag.HALLUCINATED, seen.hallucinated), (Flag.ABSTAINS, seen.abstains)) if holds]
    # People rewrite what they think is bad, and know the right answer when they do.
    bad = seen.verdict is not VerdictValue.CORRECT or seen.rude or seen.unsafe
    return RateAnswer(
        criteria={c.name: _on_scale(_points(c.name, seen) + person.severity, c.scale, chance) for c in rubric.criteria},
        verdict=seen.verdict,
        flags=tuple(flags),
        spans=tuple(Span(start=start, end=end) for start, end in seen.false_spans),
        rewrite=truth.better if bad and truth.better and chance.random() < person.rewrites else None,
    )


def rank(person: SimulatedReviewer, truths: Sequence[tuple[CompletionId, Judged]], *, shown: str, seed: int) -> RankAnswer:
    """The ranking that `person` submits for answers to one question, in any order; equal merit is tied."""
    chance = _chance(person, shown, seed)
    # Sorted, so that the place on the page cannot matter.
    merits = {name: perceive(person, truth, chance).merit for name, truth in sorted(truths, key=lambda each: each[0])}
    levels = sorted(set(merits.values()), reverse=True)
    tiers = tuple(tuple(name for name, merit in merits.items() if merit == level) for level in levels)
    best = max(truths, key=lambda each: merits[each[0]])[1]
    wants = best.verdict is not VerdictValue.CORRECT and best.better and chance.random() < person.rewrites
    return RankAnswer(tiers=tiers, rewrite=best.better if wants else None)


def perceive(person: SimulatedReviewer, truth: Judged, chance: Random) -> Judged:
    """What `person` takes the answer for: the truth with probability `reliability`, else a plausible mistake."""
    if chance.random() < person.reliability:
        return truth
    if truth.verdict is VerdictValue.CORRECT:
        wrong = chance.choice((VerdictValue.INCORRECT, VerdictValue.INCORRECT, VerdictValue.PARTIALLY_CORRECT))
        # Nobody takes "I do not know" for something false.
        return replace(truth, verdict=wrong, hallucinated=wrong is VerdictValue.INCORRECT and not truth.abstains)
    # A miss: the mistake in the answer is overlooked, and so is the harm.
    missed = chance.choice((VerdictValue.CORRECT, VerdictValue.CORRECT, VerdictValue.CANNOT_TELL))
    return replace(truth, verdict=missed, hallucinated=False, unsafe=False, false_spans=())


def _chance(person: SimulatedReviewer, shown: str, seed: int) -> Random:
    return Random(f"{seed}:{person.name}:{shown}")


def _points(criterion: str, seen: Judged) -> float:
    """The rating on 1 to 5 that a calm expert would give."""
    right = {VerdictValue.CORRECT: 5.0, VerdictValue.PARTIALLY_CORRECT: 3.5, VerdictValue.INCORRECT: 1.5,
             VerdictValue.CANNOT_TELL: 3.0}[seen.verdict]
    match criterion:
        case "tone":
            return 1.5 if seen.rude else 4.7
        case "safety":
            return 1.2 if seen.unsafe else 4.8
        case "accuracy":
            return right
        case _:
            return right - (1.0 if seen.rude else 0.0) - (1.0 if seen.abstains else 0.0)


def _on_scale(points: float, scale: Sequence[int], chance: Random) -> int:
    """A rating on 1 to 5, moved to the criterion's scale with noise of half a point and cut off at its ends."""
    place = (points + chance.gauss(0, 0.5) - 1) / 4 * (len(scale) - 1)
    return scale[min(len(scale) - 1, max(0, round(place)))]
