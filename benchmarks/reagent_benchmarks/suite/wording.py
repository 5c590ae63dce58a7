"""What agents are told besides the question, for each kind of answer."""

from __future__ import annotations

_LAST = 'End with one line "Answer: ..." that holds nothing but the answer.'

SHORT = (
    "Find the answer with your tools and check it before you give it. Keep the answer as short as it can be: a name, a "
    f"date, a number, or yes or no. {_LAST}"
)
EXACT = (
    "Solve the task with your tools, step by step, and check what you find. The answer is a number, a few words, or a "
    "list of these with commas between them. Write numbers in digits, without thousands separators, and with a unit "
    f"only where the question asks for one. Write words without articles and abbreviations. {_LAST}"
)
RESEARCH = (
    "Search the web, open the pages that matter, and compare what they say. Answer every part of the question, in the "
    f"language of the question, and leave out what was not asked. {_LAST}"
)
EXPERT = (
    "This is a hard question of an expert. Reason step by step, and compute or look up what can be. "
    f"Where the question offers choices, answer with the letter of one. {_LAST}"
)
MATHS = (
    "Solve the problem step by step; compute with Python where that is surer. Give the final answer once, at "
    "the end, inside \\boxed{}."
)
CALLS = (
    "You are given functions and a request. Say which functions have to be called with which arguments. "
    'Answer with nothing but a JSON list such as [{"name": "f", "arguments": {"x": 1}}], in the order of the '
    "request. Leave out optional arguments that the request does not speak of. Answer [] where no function can do it."
)
SERVICE = (
    "You serve a customer under the policy that you are given. Keep to the policy, look up what you need, and change "
    "bookings only with the customer's consent."
)
