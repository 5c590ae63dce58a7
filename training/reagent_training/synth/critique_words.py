"""Wordings of critiques: many for each flaw, each true of every fault of its kind.

Holes in praise: `{calls}` the tools, `{first}` and `{last}` calls, `{what}` what was to be found. In the rest: `{did}`
a clause with a verb ("reads a.csv"), `{should}` and `{advice}` a sentence each without its end, `{call}` the call.
"""

from __future__ import annotations

from reagent_training.synth.plan import Flaw

SOUND = (
    "Sound work: {calls} fit the question, and the answer follows from the last result. Nothing has to be changed.",
    "Each call was needed and its result was used as it is. No flaw found; keep the answer.",
    "The steps follow from each other and the answer is what the tools returned. Nothing to improve.",
    "Clean work with {calls}; arguments match the question and nothing is assumed. Leave it as it is.",
    "No gaps: what the question names is looked at, and the last line repeats the result correctly.",
    "{first} was the right start, and the answer repeats what {last} returned. Nothing to change.",
    "To get {what}, nothing is missing and nothing is wasted. Keep the answer.",
    "{last} gives {what}, and the last line says the same. No flaw found.",
    "Good: {first} first, then on to {what}. Arguments and answer are right; leave them.",
    "The path to {what} is short and each finding is used. Nothing has to be mended.",
    "The work is direct and every number comes from {calls}. A short check would make it even safer.",
)
CHECKED = (
    "Sound work, and the result was checked in a second way. Nothing has to be changed.",
    "Every call fits the question and the check confirms the result. Keep the answer.",
    "Clean and verified: {calls} were used well and the last check agrees. No flaw found.",
    "To get {what}, the calls were right, and {last} checks the outcome. Nothing to change.",
    "{last} is a real second look and agrees. The work on {what} can stay.",
    "From {first} to the check at the end, each step has its purpose. Keep the answer.",
    "{What} is found and then confirmed. No call is wasted, none is missing.",
    "The result is worked out from the given data and then tested again. Leave it as it is.",
)
TEMPLATES: dict[Flaw, tuple[str, ...]] = {
    Flaw.WRONG_ARGUMENT: (
        "The work {did}, but {should}: {advice}.",
        "{Should}, yet the work {did}. {Advice}, then redo what follows.",
        "Wrong argument: the work {did}. {Advice}.",
        "It {did}, although {should}. {Advice}.",
        "Everything after one wrong call is off: it {did}, but {should}. {Advice}.",
        "Look at {call} again: {should}. {Advice}.",
        "{call} does not fit the question: {should}. {Advice}.",
        "One argument does not match the question: {should}. {Advice}.",
    ),
    Flaw.NEEDLESS_CALL: (
        "One call brings nothing: the work {did}, but {should}. {Advice}.",
        "{call} was not needed: {should}. {Advice}.",
        "The work {did} although {should}. {Advice}.",
        "Drop {call}: {should}.",
        "A wasted call: it {did}. {Advice}.",
        "Before a call, ask what it adds: the work {did}, and {should}.",
    ),
    Flaw.MISSING_CALL: (
        "The work {did}, and {should}. {Advice}.",
        "A needed call is missing: {should}. {Advice}.",
        "It {did}. Memory is no source here: {advice}.",
        "{Should}, so the end of the work hangs in the air. {Advice}.",
        "Do not fill gaps from memory: {advice}.",
        "The last finding is asserted, not found: {should}. {Advice}.",
    ),
    Flaw.INVENTED_FILE: (
        "The work {did}; {should}. {Advice}.",
        "It {did}, and {should}: {advice}.",
        "{call} names something that is not there. {Advice}.",
        "Do not invent sources: {call} failed. {Advice}.",
        "{call}: {should}. The name is out of thin air. {Advice}.",
        "A made-up name: {call}. {Advice}.",
    ),
    Flaw.IGNORED_RESULT: (
        "The work {did}. {Should}: {advice}.",
        "It {did} and says no reason for it. Go back to {call}.",
        "The result of {call} is set aside without a reason. {Advice}.",
        "The last line contradicts {call}. {Advice}.",
        "Trust what was found more than an impression: the work {did}. {Advice}.",
        "{Should}, but the answer does not use it. {Advice}.",
    ),
    Flaw.UNVERIFIED_GUESS: (
        "It {did}: {should}. {Advice}.",
        "This is a guess. {Should}; {advice}.",
        "No step leads to the answer. {Should}: {advice}.",
        "The work {did}. {Advice}.",
        "An estimate is not enough: {should}. {Advice}.",
        "The tools were there and went unused for {purpose}. {Advice}.",
    ),
    Flaw.LUCKY_GUESS: (
        "It {did}: {should}. {Advice}.",
        "This is a guess. {Should}; {advice}.",
        "No step leads to the answer. {Should}: {advice}.",
        "The work {did}. {Advice}.",
        "An estimate is not enough: {should}. {Advice}.",
        "The tools were there and went unused for {purpose}. {Advice}.",
    ),
    Flaw.NEAR_MISS: (
        "The work is sound up to its last line, which {did}: {advice}.",
        "Good steps, then a slip: the last line {did}. {Advice}.",
        "The calls are right, but the final line {did}. {Advice}.",
        "Only the end is wrong: it {did}. {Advice}.",
        "Keep the work and mend its last line, which {did}.",
        "Everything was found; the answer {did}. {Advice}.",
    ),
    Flaw.MENDED: (
        "The work {did}; {should}. {Advice}.",
        "A call failed on a slip of the pen and was mended: {call}. {Advice}.",
        "Good recovery after {call} failed. {Advice} next time.",
        "It {did}. The error was read and fixed well; {advice}.",
        "One failed call, {call}, cost a step; {should}. {Advice}.",
    ),
}
PLAIN: dict[Flaw, str] = {
    Flaw.WRONG_ARGUMENT: "One call has an argument that does not fit the question. Compare each argument with it.",
    Flaw.NEEDLESS_CALL: "One call brings nothing new. Leave out what the question does not need.",
    Flaw.MISSING_CALL: "A needed call is missing and its result is filled in. Make the call before answering.",
    Flaw.INVENTED_FILE: "One call names something that does not exist. Use only what the task provides.",
    Flaw.IGNORED_RESULT: "The answer contradicts what the tools returned. Use their result or show why it is wrong.",
    Flaw.UNVERIFIED_GUESS: "Nothing in the work supports the answer. Use the tools to work it out.",
    Flaw.LUCKY_GUESS: "Nothing in the work supports the answer. Use the tools to work it out.",
    Flaw.NEAR_MISS: "The work is sound, but its last line is not. Compare it with the result and the question.",
    Flaw.MENDED: "A call failed and was put right. Check names before calling.",
}
"""For the rare fault whose own words would be too long or would hold the answer."""
