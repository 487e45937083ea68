"""TRL's SFT with a teacher that answered once: sft_stored.py STUDENT DATASET.jsonl STORE OUT

STUDENT is a folder of transformers, each line of the data set has "input_ids" and "labels", STORE
holds what the teacher said about the same ids."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
student, data, store, out = sys.argv[1:5]
# --- these lines are all that a user writes
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from kdistill.hf import DistillTrainerMixin


class Trainer(DistillTrainerMixin, SFTTrainer):
    pass


arguments = SFTConfig(out, num_train_epochs=2, report_to=[], use_cpu=True, logging_steps=1)
terms = {"forward_kl": 0.9, "cross_entropy": 0.1}
rows = Dataset.from_json(data)
Trainer(student, args=arguments, train_dataset=rows, teacher=store, terms=terms).train()
# ---
