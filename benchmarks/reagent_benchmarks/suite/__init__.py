"""The sets that agents are measured on: what each holds, and how its files become tasks with gold answers."""
