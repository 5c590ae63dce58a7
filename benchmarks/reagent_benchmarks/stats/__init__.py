"""What rows of `ArmResult` say: accuracies, what each arm adds to the bare agent, and at what price.

`rows` checks and pairs rows, `passk`, `intervals` and `comparison` measure, `summary` gathers, `table` shows.
"""
