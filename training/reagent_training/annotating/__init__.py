"""`reagent data annotate`: a teacher writes analysis, critique and score."""
