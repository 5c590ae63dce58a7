"""Labelled trajectories: one record format, files, converters, filters, splits and data cards."""
