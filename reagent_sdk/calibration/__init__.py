"""How far a judge's scores can be trusted: measured on labelled runs, mapped to probabilities, turned into a gate.

`card` and `maps` are what is needed to use a calibration and import nothing heavy; the other modules fit one and need
the `calibrate` extra.
"""
