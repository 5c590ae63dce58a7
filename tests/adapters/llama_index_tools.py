"""Tools for the tests of the LlamaIndex adapter. LlamaIndex reads `ctx` from real annotations, not from their text."""

from llama_index.core.workflow import Context, HumanResponseEvent, InputRequiredEvent


async def count(ctx: Context) -> str:
    """Counts its calls in the state of the run."""
    state = await ctx.store.get("state")
    state["count"] += 1
    await ctx.store.set("state", state)
    return str(state["count"])


async def ask(ctx: Context, question: str) -> str:
    """Asks the user."""
    answer = await ctx.wait_for_event(HumanResponseEvent, waiter_event=InputRequiredEvent(prefix=question))
    return str(answer.response)
