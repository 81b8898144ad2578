"""Preference training over rankings: one forward gives the log-probabilities of all K completions of a prompt.

`[prompt][completion 1]...[completion K]`, each completion blind to its siblings, so that every pair's loss follows
exactly, at the cost of K completions and one prompt instead of K(K-1) of both.

    settings    what a person may set
    trees       a ranking as tokens; encoding: texts -> tokens; tokens: rankings -> trees; packing: trees -> rows
    attention   who sees whom, fast; masks: the same by a mask; support: which of them a model can use
    two_parts   the fast path's kernels on a CPU; flex: the GPU's path
    last_layer  what need not be computed; head: per-token log-probabilities; scoring: a row through the model
    judged      the judgements as tensors; pairwise, listwise: the losses; objective: their sum over an accumulation window
    reference   log-probabilities on disk; anchoring: computing those that are missing
    figures     what a step reports; stepping: what both trainers do with a batch
    trainer     DPO; reward: the reward model

Settings, trees, tokens, packing and reference import nothing heavy. The others import torch when they are imported, since they
define its classes: import them inside functions.

Axes in names: T completion tokens, C completions, P pairs, L tokens of a row.
"""
