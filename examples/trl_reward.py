"""Two steps of GRPO whose reward is the judge: random weights and a tokenizer of seven words, nothing is downloaded.

python examples/trl_reward.py [--judge http://127.0.0.1:8001/v1]
"""

import argparse
import tempfile

from datasets import Dataset
from reagent_adapters.trl import rrm_reward
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig, GRPOTrainer


def likes_five(task, trajectory):
    """A judge is any function of task and trajectory; the dataset's other columns are in `task.metadata`."""
    return 0.9 if task.metadata["solution"] in trajectory.answer else 0.1


parser = argparse.ArgumentParser()
parser.add_argument("--judge", default=likes_five)
options = parser.parse_args()

vocabulary = ["<pad>", "<eos>", "two", "plus", "three", "is", "five"]
special = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<pad>"}
plain = Tokenizer(models.WordLevel({word: index for index, word in enumerate(vocabulary)}, special["unk_token"]))
plain.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, **special)
shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
model = LlamaForCausalLM(
    LlamaConfig(vocab_size=len(vocabulary), pad_token_id=0, eos_token_id=1, bos_token_id=1, **shape)
)
data = Dataset.from_dict({"prompt": ["two plus three is"] * 8, "solution": ["five"] * 8})

with tempfile.TemporaryDirectory() as folder, rrm_reward(options.judge, on_failure="wait") as reward:
    config = GRPOConfig(
        output_dir=folder,
        per_device_train_batch_size=8,
        num_generations=8,
        max_completion_length=4,
        max_steps=2,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        bf16=False,
    )
    trainer = GRPOTrainer(model, [reward], args=config, train_dataset=data, processing_class=tokenizer)
    trainer.train()
for line in trainer.state.log_history[:2]:
    print(f"step {line['step']}: mean reward {line['rewards/rrm_reward/mean']:.2f}")
