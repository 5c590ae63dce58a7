"""`reagent proxy`: an OpenAI-compatible server that adds critique to any application that changes its base URL.

A request becomes one run of the loop for each answer that it asks for: the upstream model drafts, the judge reads, the
upstream model revises. What leaves is the answer that was chosen, with the verdicts on all attempts beside it. Nothing
is kept between requests. Everything here needs the `serve` extra.
"""
