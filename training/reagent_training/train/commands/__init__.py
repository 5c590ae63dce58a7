"""The commands of `reagent train`."""
