"""Runs agents on benchmarks, with and without critique, on inspect_ai: its logs, resume, parallelism and viewer.

One sample is one question with all arms. `question` works on it, `inspect_task` makes a sample's solver and scores of
that, `study` runs a whole benchmark, and `results` reads rows out of the logs.
"""
