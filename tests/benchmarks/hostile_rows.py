"""Rows whose every text tries to get out of the page it is shown on."""

from __future__ import annotations

from collections.abc import Iterator

from reagent_benchmarks.outcomes import ArmResult, Outcome

from reagent_sdk import Message, Run, StopReason, Task, Trajectory, Verdict
from reagent_sdk.messages import ToolCall
from reagent_sdk.run import Attempt
from reagent_sdk.verdict import VerdictStatus

MARK = "globalThis.pwned = true"
PAYLOADS = {
    "end of script": f"</script><script>{MARK}</script>",
    "comment": f"<!--<script>{MARK}</script>",
    "comment and script": f"<!-- <script> </script> --> <script>{MARK}//",
    "image": f"<img src=x onerror='{MARK}'><svg onload='{MARK}'>",
    "remote image": "<img src=http://127.0.0.1:9/pixel.png><link rel=stylesheet href=http://127.0.0.1:9/a.css>",
    "frame": f"<iframe srcdoc='<script>parent.{MARK}</script>'></iframe><base href=http://127.0.0.1:9/>",
    "refresh": "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "link": f"<a href='javascript:{MARK}' autofocus onfocus='{MARK}'>click</a>",
    "attribute": f"\" autofocus onfocus=\"{MARK}\" x=\"' onmouseover='{MARK}' y='",
    "template": f"{{{{ 7*7 }}}}{{% raw %}}${{{MARK}}}{{{{ cycler.__init__.__globals__ }}}}",
    "end of style": f"</style></title></textarea></noscript><script>{MARK}</script>",
    "string": f'\\"; {MARK}; //\\u003cscript\\u003e \\',
    "separators": f"one\u2028{MARK}\u2029three",
    "null": f"a\0b<scr\0ipt>{MARK}</scr\0ipt>\x1b[2J\x07\x08\x7f\x85",
    "surrogates": "half \ud83d and \udc00 alone",
    "right to left": "\u202eevil \u2066isolate \u202b\u05e9\u05dc\u05d5\u05dd never closed",
    "closed too often": "\u2069\u202c\u2069 \u05e9\u05dc\u05d5\u05dd \u2069",
    "entity": "&lt;script&gt; &#60;script&#62; &amp; &nbsp",
    "prototype": "__proto__",
    "cdata": f"<![CDATA[ ]]><?xml version='1.0'?><script xmlns='http://www.w3.org/2000/svg'>{MARK}</script>",
}


def hostile_rows(big: int = 0) -> Iterator[ArmResult]:
    """A bare and a critique row for each payload, with it in every field; `big` lengthens one answer."""
    for place, (name, text) in enumerate(PAYLOADS.items()):
        for arm in ("bare", f"critique {text}"):
            yield _row(place, name, text, arm)
    if big:
        yield _row(len(PAYLOADS), "big", f"begin {'<b>&' * (big // 4)} end", "bare")


def _row(place: int, name: str, text: str, arm: str) -> ArmResult:
    call = ToolCall.make(text, text, id="call")
    messages = (
        Message.model_validate({"role": "assistant", "content": text, "reasoning_content": text, "tool_calls": [call]}),
        Message(role="tool", content=text, tool_call_id="call", name=text),
        Message(role=text, content=text),
    )
    scored = Verdict.of(0.5, text, analysis=text, judge=text).model_copy(update={"leaks": (text,)})
    failed = Verdict(status=VerdictStatus.UNPARSEABLE, reason=text, raw=text, judge=text)
    attempts = tuple(
        Attempt(
            index=index,
            trajectory=Trajectory(messages=messages[index:], answer=text + " ?" * index),
            verdict=verdict,
            feedback=text,
        )
        for index, verdict in enumerate((scored, failed))
    )
    run = Run(
        id=text,
        task=Task(question=f"{name}: {text}", history=(Message(role="system", content=text),)),
        attempts=attempts,
        chosen=0,
        stop=StopReason.JUDGE_FAILED,
        why=text,
        notes=(text,),
    )
    return ArmResult(
        benchmark="hostile",
        sample=f"{place} {text}" if name != "big" else "big",
        group=text,
        arm=arm,
        outcome=Outcome.RIGHT if arm == "bare" else Outcome.WRONG,
        why=text,
        answer=text,
        references=(text,),
        judge_failed=True,
        score=0.5,
        attempts=2,
        run=run,
    )
