"""Preference training over rankings: one forward gives the log-probabilities of all K completions of a prompt.

`[prompt][completion 1]...[completion K]`, each completion blind to its siblings, so that every pair's loss follows
exactly, at the cost of K completions and one prompt instead of K(K-1) of both.

    settings   what a person may set; the only module here that imports nothing heavy
    trees      a ranking as tokens              tokens    rankings -> trees
    packing    trees -> rows                    attention, masks, support   who sees whom, and whether a model can do it
    head       per-token log-probabilities      scoring   a row through the model
    losses     pairs     lists  rankings        objective their sum, normalised over an accumulation window
    reference  log-probabilities on disk        trainer   DPO; reward  the reward model

Axes in names: T completion tokens, C completions, P pairs, L tokens of a row.
"""
