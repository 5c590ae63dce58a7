"""Benchmarks of judges: labelled trajectories of public data sets, and how well a judge's scores agree with the labels.

One file for each data set reads its rows and says what a label means and what the judge must not see; `runner` judges,
`figures` measures, `table` shows.
"""
