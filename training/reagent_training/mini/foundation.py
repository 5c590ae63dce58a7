"""What a compact base is pre-trained on: all work of the training set, verdicts about it, and drills. Imports torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from reagent_sdk.messages import Message, assistant
from reagent_sdk.prompts import judge_prompt
from reagent_sdk.verdict import Verdict
from reagent_training.agent_rl.dialogue import Dialogue
from reagent_training.agent_rl.lessons import Lesson, agent_examples, conversation_of
from reagent_training.agent_rl.offered import Offered
from reagent_training.agent_rl.sft_config import AgentSftConfig
from reagent_training.data.files import read_set
from reagent_training.data.record import LabelledTrajectory
from reagent_training.mini import settings
from reagent_training.mini.compact import fixed_texts, make_tokenizer, pretrain, texts_of
from reagent_training.mini.config import MiniConfig
from reagent_training.mini.places import Places
from reagent_training.synth.generate import ROWS
from reagent_training.train.config import SftConfig
from reagent_training.train.examples import prompt_messages, sft_examples

WEIGHTS = "model.safetensors"


def base_is_made(places: Places) -> bool:
    """Whether the base is there."""
    return (places.base / WEIGHTS).is_file()


def make_base(config: MiniConfig, places: Places) -> None:
    """Makes a vocabulary, and pre-trains and drills a new model with it on right and wrong work and on verdicts."""
    rows = list(read_set(places.train / ROWS))
    agent = settings.agent_sft(config, places, only="all", max_tokens=config.compact.positions)
    judge = settings.rrm_sft(config, places, max_tokens=config.compact.positions)
    offered = Offered(agent)
    opening, _ = conversation_of(Lesson(rows[0]), agent, offered.of(rows[0]))
    fixed = fixed_texts(opening[0].text)
    spoken = _spoken(rows, agent, judge, offered)
    tokenizer = make_tokenizer(texts_of(spoken, fixed), fixed, config.compact.vocabulary)
    left_out: Counter[str] = Counter()
    documents = [one.input_ids for one in agent_examples(rows, Dialogue(tokenizer), agent, offered, left_out)]
    documents += [one.input_ids for one in sft_examples(rows, tokenizer, judge, None, left_out)]
    pretrain(documents, config.compact, tokenizer, places.base, seed=config.seeds[0])


def _spoken(
    rows: Sequence[LabelledTrajectory], agent: AgentSftConfig, judge: SftConfig, offered: Offered
) -> Iterator[Message]:
    """Every message of the conversations that the base will see."""
    prompt = judge_prompt(judge.prompt_version)
    for row in rows:
        yield from conversation_of(Lesson(row), agent, offered.of(row))[0]
        yield from prompt_messages(row, prompt, max_chars=judge.max_chars, seed=judge.seed)
        if row.score is not None and row.has_targets:
            verdict = Verdict.of(row.score, row.critique or "-", analysis=row.analysis or "-")
            yield assistant(prompt.target(verdict))
