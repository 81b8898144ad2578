"""A reader of training curves: what a run logged, in words and pictures, for people who decide whether to trust it.

    curve       what was logged, by name
    finding     a disease that was found, and what to try
    checks      diseases of any training run, each a pure function with its thresholds
    chart       curves as pictures: pure geometry
    report      report.json, report.html and the paragraph on the terminal
    readings    what a run measures on the way, beside what its trainer logs

Diseases of preference training have their checks in `alignment.curves`.
"""
