"""Critiqued runs while everything around them breaks: `python -m reagent_benchmarks.chaos`.

`faults` says what the scripted model answers and `model_server` serves it; `servers` keeps server processes up and
`storm` kills them; `traffic` makes the runs, `proof` holds them against what must be true, `memory` watches what the
processes hold, `report` shows.
"""
