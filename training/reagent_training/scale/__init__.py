"""Planning agent training on many GPUs: memory, time, who does what, and the commands that start it."""
