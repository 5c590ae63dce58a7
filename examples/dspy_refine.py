"""A DSPy program with critique, and the judge as the reward of dspy.Refine.

python examples/dspy_refine.py [--model openai/gpt-5-mini] [--judge http://127.0.0.1:8001/v1]
"""

import argparse

import dspy
from dspy.utils.dummies import DummyLM
from reagent_adapters.dspy import CritiqueModule, critique_reward, run_of


def careful(task, trajectory):
    """A judge is any function of task and trajectory; a trained one is a spec such as http://127.0.0.1:8001/v1."""
    shown = any("+" in message.reasoning for message in trajectory.messages)
    return (0.9, "Clear.") if shown else (0.3, "Write the sum down before you answer.")


parser = argparse.ArgumentParser()
parser.add_argument("--model", help="any model of DSPy; by default a scripted one")
parser.add_argument("--judge", default=careful)
options = parser.parse_args()

hasty, sound = {"reasoning": "It looks like six.", "answer": "6"}, {"reasoning": "2 + 3 = 5.", "answer": "5"}
advice = {"discussion": "The sum is missing.", "advice": {"predict": "Write the sum down."}}
question = "Ann has 2 apples and Bob has 3. How many have they?"
solve = dspy.ChainOfThought("question -> answer")

with dspy.context(lm=dspy.LM(options.model) if options.model else DummyLM([hasty, sound])):
    prediction = CritiqueModule(solve, judge=options.judge)(question=question)
    run = run_of(prediction)
    print(run.why)
    print("answer:", prediction.answer, "scores:", [attempt.score for attempt in run.attempts])

with dspy.context(lm=dspy.LM(options.model) if options.model else DummyLM([hasty, advice, sound]), trace=[]):
    refine = dspy.Refine(solve, N=3, reward_fn=critique_reward(options.judge), threshold=0.8)
    print("Refine:", refine(question=question).answer)
