"""Attacks on the judge: `python -m reagent_benchmarks.judge_attacks`.

`families` holds the attacks, `attack` puts them into trajectories, `proof` shows without any model that the format
attacks are stopped, `undefended` is the judge without defences to compare with, `runner` judges clean and attacked work
in pairs, `figures` measures and `table` shows.
"""
