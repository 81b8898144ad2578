"""Likeness of answers to their references. It rewards wording, not truth: a trend beside the reviewers' figures, never a gate."""

from __future__ import annotations

from collections.abc import Sequence

from feedback.intervals import bootstrap_mean
from feedback.measures import Figure, Unscored


def rouge_l(answers: Sequence[tuple[str, str]]) -> Figure:
    """Mean ROUGE-L F1 (Lin 2004) of (answer, reference) rows, 0 to 1, without stemming.

    Unscored without rows or without the `rouge_score` package.
    """
    if not answers:
        return Unscored(reason="no reviewed answer has a reference to compare with")
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError:
        return Unscored(reason="rouge_score is not installed; `pip install 'redpen-rlhf[train]'` brings it")
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    scores = [float(scorer.score(reference, answer)["rougeL"].fmeasure) for answer, reference in answers]
    return bootstrap_mean([min(1.0, score) for score in scores], bounds=(0.0, 1.0))
