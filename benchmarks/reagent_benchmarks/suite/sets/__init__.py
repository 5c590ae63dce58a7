"""One file for each family of sets."""
