"""Who judges during training: any judge of the SDK, or weights of this machine that are asked in batches."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reagent_sdk.cli.options import check_spec
from reagent_sdk.clients.base import Completion, MeteredCall, Sampling
from reagent_sdk.errors import InvalidInput, ModelRejected
from reagent_sdk.judges.model import ModelJudge
from reagent_sdk.judges.queue import Job, JudgeQueue
from reagent_sdk.local_specs import settings_of
from reagent_sdk.messages import Message, assistant
from reagent_sdk.models.manifest import read_manifest
from reagent_sdk.specs import judge_for
from reagent_sdk.usage import Usage
from reagent_sdk.verdict import Verdict
from reagent_training.agent_rl.config import JudgeSource
from reagent_training.agent_rl.generation import BatchGenerator, Generated
from reagent_training.agent_rl.lockstep import Lockstep

_TOP = 20


def judge_queue(source: JudgeSource, *, seed: int) -> JudgeQueue:
    """The judge of a run, ready to be asked about whole batches.

    Critiques are redacted as in the SDK's loop, since an agent reads them. Frame codes are drawn from the seed and not
    at random, so that a run that goes on hears the same verdicts; the policy never sees them.

    Raises:
        InvalidInput: the spec names no judge.
        WeightsUnavailable: its weights are missing.
    """
    secret = hashlib.sha256(f"frame {seed}".encode()).digest()
    limits: dict[str, Any] = {
        "concurrency": source.concurrency,
        "patience": source.patience,
        "wait_seconds": source.wait_seconds,
        "redacted": True,
    }
    if (folder := _folder(source.spec)) is not None:
        chat = BatchedChat(folder, source)
        judge = ModelJudge(chat, settings_of(folder, source.spec), secret=secret)
        return JudgeQueue(judge, run=chat.side_by_side, **limits)

    def fixed(judge: ModelJudge) -> ModelJudge:
        return ModelJudge(judge.client, judge.settings, secret=secret, name=judge.name)

    return JudgeQueue(judge_for(source.spec, adapt=fixed), **limits)


def check_judge(source: JudgeSource) -> None:
    """Looks at a judge before anything heavy starts; no weights are loaded, and nobody is asked.

    Raises:
        InvalidInput: no such judge, weights of another role, or an unknown prompt version.
        WeightsUnavailable: weights of this machine that are not there.
    """
    if not source.spec.startswith("hf:"):
        check_spec(source.spec)
        judge_for(source.spec)
        return
    folder = Path(source.spec.removeprefix("hf:")).expanduser()
    if not folder.is_dir():
        if folder.is_absolute() or len(folder.parts) != 2:
            raise InvalidInput(f"judge.spec {source.spec}: there is no such folder")
        return
    if read_manifest(folder) is None:
        raise InvalidInput(f"judge.spec {source.spec} has no reagent.json, so nothing says that it is a judge")
    settings_of(folder, source.spec)


def _folder(spec: str) -> Path | None:
    folder = Path(spec.removeprefix("hf:")).expanduser()
    return folder if spec.startswith("hf:") and folder.is_dir() else None


class BatchedChat:
    """A chat client over weights of this machine that answers all waiting requests in one batch, greedily.

    A grammar is not applied: a judge that was trained on the format keeps to it, and what does not parse is no score.
    """

    def __init__(self, folder: Path, source: JudgeSource) -> None:
        self.name = f"hf:{folder.name}"
        self._folder = folder
        self._source = source
        self._tokenizer: Any = None
        self._turns: Lockstep[list[int], Generated] = Lockstep(self._answers)
        self._generator: BatchGenerator | None = None

    async def side_by_side(self, jobs: Sequence[Job]) -> list[Verdict]:
        """Runs jobs that ask this client; their results in order."""
        self._loaded()
        return await self._turns.run(jobs)

    async def complete(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """The reply, when all jobs that run side by side wait for one.

        Raises:
            ModelRejected: tools were sent along.
        """
        if "tools" in sampling.extra:
            raise ModelRejected("a judge that is asked in batches calls no tools", model=self.name)
        async with MeteredCall(self.name) as call:
            plain = [{**message.to_openai(), "content": message.text} for message in messages]
            prompt = self._tokenizer.apply_chat_template(plain, add_generation_prompt=True, return_dict=True)
            reply = await self._turns.ask(list(prompt["input_ids"]))
            call.used(Usage(prompt_tokens=len(prompt["input_ids"]), completion_tokens=len(reply.ids)))
            text = self._tokenizer.decode(reply.ids, skip_special_tokens=True)
            return Completion(
                message=assistant(text),
                finish_reason="stop" if reply.ended else "length",
                usage=call.usage,
                alternatives=reply.alternatives,
            )

    async def aclose(self) -> None:
        """Frees the weights."""
        self._generator = None

    def _answers(self, prompts: list[list[int]]) -> list[Generated]:
        return self._loaded()(prompts)

    def _loaded(self) -> BatchGenerator:
        if self._generator is None:
            from reagent_sdk.clients.hf_model import load

            model = load(str(self._folder), None, None)
            self._tokenizer = model.tokenizer
            self._generator = BatchGenerator(
                model.network,
                model.tokenizer,
                max_new_tokens=self._source.max_new_tokens,
                batch=self._source.batch,
                top=_TOP,
            )
        return self._generator
