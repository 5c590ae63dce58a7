"""An inspect_ai task run with critique, and the judge as a scorer beside the task's own.

python examples/inspect_task.py [--model openai/gpt-5-mini] [--judge http://127.0.0.1:8001/v1]
"""

import argparse
import tempfile

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
from reagent_adapters.inspect_ai import RUN, critique, rrm_scorer

from reagent_sdk import Run


def scripted(text):
    output = ModelOutput.from_content("mockllm/model", text)
    output.usage = ModelUsage(input_tokens=12, output_tokens=6, total_tokens=18)
    return output


def careful(task, trajectory):
    """A judge is any function of task and trajectory; a trained one is a spec such as http://127.0.0.1:8001/v1."""
    shown = "=" in trajectory.answer
    return (0.9, "Clear.") if shown else (0.3, "Write the sum down before you answer.")


parser = argparse.ArgumentParser()
parser.add_argument("--model", help="any model of inspect_ai; by default a scripted one")
parser.add_argument("--judge", default=careful)
options = parser.parse_args()

model = options.model or get_model("mockllm/model", custom_outputs=[scripted("6"), scripted("2 + 3 = 5")])
task = Task(
    dataset=[Sample(input="Ann has 2 apples and Bob has 3. How many have they?", target="5")],
    solver=critique(generate(), judge=options.judge),
    scorer=[includes(), rrm_scorer(judge=options.judge)],
)
with tempfile.TemporaryDirectory() as logs:
    (log,) = eval(task, model=model, log_dir=logs, display="none")
    sample = log.samples[0]
    run = Run.model_validate(sample.store[RUN])
    print(run.why)
    print("answer:", sample.output.completion)
    print("scores:", {name: score.value for name, score in sample.scores.items()})
