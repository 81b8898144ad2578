"""A reader of the curves of preference training: which disease a run has, with the evidence and what to try.

    apart       families set apart from training, to see overfitting
    pairs       what is known of the watched pairs, and what was read of them on the way
    checks      diseases of preference training, each a pure function with its thresholds
    pictures    its charts and its table
    watch       measuring a policy or a reward model while it trains, and the report at the end
"""
