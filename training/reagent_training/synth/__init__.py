"""Tool tasks with known answers, worked on with the real tools, soundly and not, and what a judge should say."""
