"""Rollouts with real tools and a policy that is scripted: what is sampled, put in, cut off, judged and left out."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reagent_training.agent_rl import generation
from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.dialogue import Dialogue
from reagent_training.agent_rl.generation import Generated, TrlGenerator
from reagent_training.agent_rl.lockstep import Lockstep
from reagent_training.agent_rl.rollouts import Asked, Roller, Rollout
from reagent_training.agent_rl.stages import REVISED, Row, sampled

from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.queue import JudgeQueue
from reagent_sdk.messages import assistant, user
from reagent_sdk.task import Task
from reagent_sdk.tools import tool
from reagent_sdk.tools.agent import FINAL
from reagent_sdk.trajectory import AgentStop, Trajectory

sys.path.insert(0, str(Path(__file__).parent / "helpers"))
import tiny_agent
from tiny_agent import CALL, CRITIQUE, RIGHT, TWO_CALLS, WRONG, question
from tiny_pieces import TEMPLATE

TOKENIZER = tiny_agent.tokenizer()
DIALOGUE = Dialogue(TOKENIZER)
END = DIALOGUE.end
Says = Callable[[str], "str | list[int]"]


class Scripted:
    """A policy whose replies depend on the conversation so far; keeps all batches that it was asked.

    Args:
        says: the reply to a conversation, as text or as ids.
    """

    def __init__(self, says: Says) -> None:
        self._says = says
        self.batches: list[list[str]] = []
        self.wrote: list[list[int]] = []

    def __call__(self, prompts: Sequence[Sequence[int]]) -> list[Generated]:
        texts = [TOKENIZER.decode(list(prompt)) for prompt in prompts]
        self.batches.append(texts)
        said = [self._says(text) for text in texts]
        ids = [DIALOGUE.reply(one) if isinstance(one, str) else one for one in said]
        self.wrote += ids
        return [Generated(one, one[-1] == END) for one in ids]


def in_turn(*said: str | list[int]) -> Says:
    """Replies by turn: the first before any tool was called, and so on."""
    return lambda text: said[text.count("<|im_start|>assistant") - 1]


def config(**changes: Any) -> AgentConfig:
    given: dict[str, Any] = {
        "rollout": {"tools": "own", "max_new_tokens": 16, **changes.pop("rollout", {})},
        "max_tokens": 512,
    }
    return tiny_agent.settings(Path(), **(given | changes))


def room_for(tokens: int) -> AgentConfig:
    """Less room than a run may be given."""
    return config().model_copy(update={"max_tokens": tokens})


def roller(generator: Any, how: AgentConfig | None = None, tools: Sequence[Any] = (tiny_agent.look_up,)) -> Roller:
    how = how or config()
    own = question(tools=tools).tools
    return Roller(generator, DIALOGUE, how.rollout, max_tokens=how.max_tokens, tools_of=lambda _: own() if own else ())


def rolled(generator: Any, how: AgentConfig | None = None, *, count: int = 1, **given_tools: Any) -> list[Rollout]:
    asked = [Asked(question(f"0/{place}")) for place in range(count)]
    return asyncio.run(roller(generator, how, **given_tools).rollouts(asked))


def own_ids(rollout: Rollout) -> list[int]:
    return [token for token, mine in zip(rollout.tokens.ids, rollout.tokens.own, strict=True) if mine]


def others(rollout: Rollout) -> str:
    given_ids = [token for token, mine in zip(rollout.tokens.ids, rollout.tokens.own, strict=True) if not mine]
    return str(TOKENIZER.decode(given_ids))


def test_turns_with_a_real_tool() -> None:
    policy = Scripted(in_turn(CALL, RIGHT))
    (rollout,) = rolled(policy)
    assert own_ids(rollout) == [*DIALOGUE.reply(CALL), *DIALOGUE.reply(RIGHT)]
    assert "a is 30" in others(rollout)
    assert others(rollout).startswith("\n<|im_start|>user")
    assert others(rollout).endswith("<|im_start|>assistant\n")
    assert [message.role for message in rollout.trajectory.messages] == ["assistant", "tool", "assistant"]
    assert (rollout.right, rollout.tool_calls, rollout.tokens.turns, rollout.truncated) == (True, 1, 2, False)
    assert rollout.stopped_tools == 0
    # what the policy read at its second turn is the very ids that the trainer gets
    last = len(DIALOGUE.reply(RIGHT))
    assert policy.batches[1] == [TOKENIZER.decode([*rollout.tokens.prompt, *rollout.tokens.ids[:-last]])]


def test_ids_stay_as_they_were_sampled() -> None:
    """A call that is written in bytes is the text of one token: writing it anew would change the ids."""
    alone = [TOKENIZER.convert_tokens_to_ids("Ġ" if one == " " else one) for one in CALL]
    assert DIALOGUE.text(alone) == CALL
    assert TOKENIZER(CALL, add_special_tokens=False)["input_ids"] != alone
    policy = Scripted(in_turn([*alone, END], [*alone, END], RIGHT))
    (rollout,) = rolled(policy)
    assert own_ids(rollout) == [*alone, END, *alone, END, *DIALOGUE.reply(RIGHT)]
    assert rollout.tool_calls == 2


def test_all_calls_of_a_reply_run_at_once() -> None:
    inside, both = list[str](), anyio.Event()

    @tool
    async def look_up(key: str) -> str:
        """Looks up the number behind a key."""
        inside.append(key)
        if len(inside) == 2:
            both.set()
        await both.wait()  # neither call ends before both have begun
        return f"{key} is there"

    (rollout,) = rolled(Scripted(in_turn(TWO_CALLS, RIGHT)), tools=(look_up,))
    results = [message.text for message in rollout.trajectory.messages if message.role == "tool"]
    assert results == ["a is there", "b is there"]
    assert inside == ["a", "b"]


def test_a_tool_that_hangs_is_stopped_and_the_policy_told() -> None:
    stopped = list[str]()

    @tool
    async def look_up(key: str) -> str:
        """Looks up the number behind a key."""
        try:
            await anyio.Event().wait()
        finally:
            stopped.append(key)
        return ""

    (rollout,) = rolled(Scripted(in_turn(CALL, RIGHT)), config(rollout={"tool_seconds": 0.02}), tools=(look_up,))
    assert stopped == ["a"]
    assert "look_up took more than 0.02 seconds and was stopped" in others(rollout)
    assert rollout.right
    assert rollout.stopped_tools == 1


def test_a_reply_beyond_the_room_is_cut_and_the_rollout_ends() -> None:
    opening = len(asyncio.run(roller(Scripted(in_turn())).opening(Asked(question()))))
    policy = Scripted(in_turn([*TOKENIZER("hello " * 40)["input_ids"], END]))
    (cut,) = rolled(policy, room_for(opening + 20))
    assert (len(cut.tokens.prompt), len(cut.tokens.ids), cut.tokens.own) == (opening, 20, [1] * 20)
    assert (cut.truncated, cut.right, cut.tokens.ended) == (True, False, False)

    # a tool's result leaves no room for another turn: what was put in stays, and carries no loss
    (full,) = rolled(Scripted(in_turn(CALL, RIGHT)), room_for(opening + 20))
    assert own_ids(full) == DIALOGUE.reply(CALL)
    assert "a is 30" in others(full)
    assert full.tokens.ids[-1] != END  # so TRL knows it as cut off
    assert (full.truncated, full.right, full.trajectory.answer) == (True, False, "")


def test_the_next_turn_does_not_begin_inside_one_that_was_cut_off() -> None:
    (rollout,) = rolled(Scripted(in_turn(DIALOGUE.reply(CALL)[:-1], RIGHT)))  # no end token
    place = len(DIALOGUE.reply(CALL)) - 1
    assert (rollout.tokens.ids[place], rollout.tokens.own[place]) == (END, 0)
    assert (rollout.right, rollout.tokens.turns) == (True, 2)


def test_steps_are_limited_and_silence_is_no_answer() -> None:
    (limited,) = rolled(Scripted(in_turn(CALL, CALL, RIGHT)), config(rollout={"steps": 2}))
    assert FINAL in others(limited)
    assert (limited.trajectory.stop, limited.right) == (AgentStop.STEP_LIMIT, True)
    (silent,) = rolled(Scripted(in_turn([END], [END])))
    assert (silent.trajectory.answer, silent.right, silent.truncated) == ("", False, False)
    assert own_ids(silent) == [END, END]


@settings(max_examples=12)
@given(st.permutations(range(4)))
def test_batches_do_not_depend_on_the_time_that_tools_take(order: list[int]) -> None:
    """Tools of four rollouts end in any order; every batch is asked in the order of the rollouts."""
    ended = list[int]()

    async def worked() -> list[list[str]]:
        gates = [anyio.Event() for _ in order]
        inside = list[int]()

        def tool_of(place: int) -> Any:
            @tool
            async def look_up(key: str) -> str:
                """Looks up the number behind a key."""
                inside.append(place)
                if len(inside) == len(order):
                    gates[order[0]].set()
                await gates[place].wait()
                ended.append(place)
                later = order.index(place) + 1
                if later < len(order):
                    gates[order[later]].set()
                return f"{place} was reached"

            return look_up

        policy = Scripted(lambda text: RIGHT if "was reached" in text else CALL)
        how = config()
        tools = {f"0/{place}": (tool_of(place),) for place in order}
        made = Roller(
            policy, DIALOGUE, how.rollout, max_tokens=how.max_tokens, tools_of=lambda asked: tools[asked.name]
        )
        await made.rollouts([Asked(question(f"0/{place}")) for place in range(len(order))])
        return policy.batches

    batches = asyncio.run(worked())
    assert ended == order
    assert [text.split(" was reached")[0][-1] for text in batches[1]] == ["0", "1", "2", "3"]
    assert [len(batch) for batch in batches] == [4, 4]


def test_one_that_is_done_does_not_hold_up_the_others() -> None:
    turns = iter([CALL, RIGHT, CALL, WRONG])  # 0 calls, 1 answers, 0 calls, 0 answers
    first, second = rolled(policy := Scripted(lambda _: next(turns)), count=2)
    assert [len(batch) for batch in policy.batches] == [2, 1, 1]
    assert (first.tokens.turns, second.tokens.turns) == (3, 1)


def test_a_conversation_that_fails_ends_all_and_asks_nothing_more() -> None:
    asked, cancelled = list[list[int]](), list[int]()

    def answer(batch: list[int]) -> list[int]:
        asked.append(batch)
        return batch

    lockstep: Lockstep[int, int] = Lockstep(answer)

    async def failing() -> int:
        await lockstep.ask(0)
        raise RuntimeError("a tool broke its contract")

    async def waiting() -> int:
        await lockstep.ask(1)
        try:
            return await lockstep.ask(2)
        except asyncio.CancelledError:
            cancelled.append(2)
            raise

    with pytest.raises(RuntimeError, match="broke its contract"):
        asyncio.run(lockstep.run([failing, waiting]))
    assert (asked, cancelled) == ([[0, 1]], [2])


def test_a_policy_that_fails_is_heard() -> None:
    def broken(prompts: object) -> list[Generated]:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        rolled(broken, count=3)


def test_templates_that_rewrite_turns_are_refused() -> None:
    rewriting = tiny_agent.tokenizer()
    rewriting.chat_template = TEMPLATE.replace(
        "{{ message['content'] }}", "{{ message['content'] if messages[3:] == [] else 'earlier' }}"
    )
    with pytest.raises(InvalidInput, match="chat template"):
        Dialogue(rewriting).between([user("go on"), user("go on")])
    endless = tiny_agent.tokenizer()
    endless.chat_template = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
    with pytest.raises(InvalidInput, match="does not end replies"):
        Dialogue(endless)


@settings(max_examples=30)
@given(st.lists(st.text("ab<|>\n é", max_size=8), min_size=1, max_size=4))
def test_a_conversation_in_pieces_is_the_whole(said: list[str]) -> None:
    messages = [user("ask")]
    ids = DIALOGUE.opening(messages)
    for text in said:
        ids += [*DIALOGUE.reply(text), *DIALOGUE.between([user("go on")])]
        messages += [assistant(text), user("go on")]
    assert TOKENIZER.decode(ids) == TOKENIZER.decode(DIALOGUE.opening(messages))
    known, own = DIALOGUE.encode(messages)
    assert ids[: len(known)] == known
    assert TOKENIZER.decode([token for token, mine in zip(known, own, strict=True) if mine]) == "".join(
        f"{text}<|im_end|>" for text in said
    )


# --- two stages and their judge


def staged(says: Says, judge: JudgeQueue | None, how: AgentConfig | None = None, *, count: int = 2) -> list[Row]:
    """The rows of `count` pairs on one task."""
    how = how or config()
    return asyncio.run(sampled([question()] * (2 * count), how, roller(Scripted(says), how), judge))


def after_critique(before: str, after: str) -> Says:
    return lambda text: after if CRITIQUE in text else before


def test_a_revision_reads_question_work_and_critique() -> None:
    policy = Scripted(after_critique(WRONG, RIGHT))
    how = config()
    rows = asyncio.run(sampled([question()] * 4, how, roller(policy, how), tiny_agent.queue()))
    assert [row.stage for row in rows] == [0, 1, 0, 1]
    assert [row.reward for row in rows] == pytest.approx([0.09, 1.24, 0.09, 1.24])
    for row in rows[1::2]:
        assert row.rollout is not None
        told = TOKENIZER.decode(row.rollout.tokens.prompt)
        assert told.index(tiny_agent.QUESTION) < told.index(WRONG) < told.index(CRITIQUE)
        assert own_ids(row.rollout) == DIALOGUE.reply(RIGHT)
        assert CRITIQUE not in others(row.rollout)
    assert [len(batch) for batch in policy.batches] == [2, 2]


def test_verdicts_are_asked_for_at_once_and_each_content_once() -> None:
    waiting, all_there = list[str](), anyio.Event()

    async def judge(task: Task, trajectory: Trajectory) -> tuple[float, str]:
        waiting.append(trajectory.answer)
        if len(waiting) == 2:
            all_there.set()
        await all_there.wait()  # each of the two different answers waits for the other
        return 0.5, CRITIQUE

    said = iter([RIGHT, WRONG, RIGHT])
    rows = staged(lambda text: RIGHT if CRITIQUE in text else next(said), tiny_agent.queue(judge), count=3)
    # three first attempts with two contents, and three revisions with one that was judged before
    assert sorted(waiting) == [WRONG, RIGHT]
    assert [row.score for row in rows] == [0.5] * 6


def test_a_failed_judge_is_no_reward_and_brings_no_revision() -> None:
    def judge(task: Task, trajectory: Trajectory) -> tuple[float, str]:
        if WRONG in trajectory.answer:
            raise RuntimeError("no verdict")
        return 0.5, CRITIQUE

    said = iter([RIGHT, WRONG])
    rows = staged(lambda text: WRONG if CRITIQUE in text else next(said), tiny_agent.queue(judge))
    assert [row.reward for row in rows] == [pytest.approx(1.15), None, None, None]
    assert [row.rollout is None for row in rows] == [False, False, False, True]


def test_a_revision_that_does_not_fit_is_not_made() -> None:
    opening = len(asyncio.run(roller(Scripted(in_turn())).opening(Asked(question()))))
    rows = staged(after_critique(WRONG, RIGHT), tiny_agent.queue(), room_for(opening + 24))
    assert [(row.rollout is None, row.reward is None) for row in rows] == [(False, False), (True, True)] * 2
    assert all(row.verdict is None for row in rows if row.stage == REVISED)


@pytest.mark.parametrize("pool", ["first", "revised"])
def test_one_pool_can_be_learnt_from_alone(pool: str) -> None:
    rows = staged(after_critique(WRONG, RIGHT), tiny_agent.queue(), config(pool=pool))
    learnt = [row.stage for row in rows if row.reward is not None]
    assert learnt == [("first", "revised").index(pool)] * 2
    assert all(row.rollout is not None and row.score is not None for row in rows)


def test_without_a_judge_the_rule_is_the_reward() -> None:
    how = config(recipe="agent-grpo", judge=None)
    said = iter([RIGHT, WRONG])
    rows = asyncio.run(sampled([question()] * 2, how, roller(Scripted(lambda _: next(said)), how), None))
    assert [row.reward for row in rows] == [1.0, 0.0]


def test_processes_that_share_a_sampler_all_take_part_in_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    meeting, asking, place = threading.Barrier(2), [False, False], threading.local()
    sizes: list[list[int]] = [[], []]

    def any_asks(asked: bool) -> bool:
        asking[place.number] = asked
        meeting.wait(timeout=20)
        found = any(asking)
        meeting.wait(timeout=20)
        return found

    class Trainer:
        eos_token_ids = (END,)

        def _generate_single_turn(self, prompts: list[list[int]], *_: Any) -> Any:
            meeting.wait(timeout=20)  # a collective call: alone, it would wait for ever
            sizes[place.number].append(len(prompts))
            return [[END] for _ in prompts], None

    monkeypatch.setattr(generation, "_any_asks", any_asks)
    monkeypatch.setattr(generation, "_shares_sampler", lambda _: True)

    def process(number: int, turns: int) -> None:
        place.number = number
        generator = TrlGenerator(Trainer(), END)
        for _ in range(turns):
            generator([[1], [1, 2]])
        generator.finish()

    threads = [threading.Thread(target=process, args=(number, turns)) for number, turns in enumerate((1, 3))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sizes == [[2, 1, 1], [2, 2, 2]]
