"""`reagent data sample`: agents at work on questions, with their answers graded."""
