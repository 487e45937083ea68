"""kdistill.hf: trainers of transformers and TRL with a stored or a live teacher."""

import copy
import os
import unittest
import warnings

import numpy as np

import kdistill as kd

from support import Case

os.environ.setdefault("HF_HUB_OFFLINE", "1")
try:
    import datasets
    import torch
    import transformers
    from trl import SFTConfig, SFTTrainer
    from trl.experimental.gkd import GKDTrainer

    from kdistill.hf import DistillTrainerMixin, KeyCollator
    from kdistill.torch import DistillLoss
except ImportError:
    transformers = None

VOCABULARY, PAD = 48, 0


def model_of(seed, layers):
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=64,
        pad_token_id=PAD,
    )
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(20)
    return model


@unittest.skipIf(transformers is None, "transformers and trl are not installed")
class TrainerTest(Case):
    def setUp(self):
        super().setUp()
        warnings.simplefilter("ignore")
        self.addCleanup(warnings.resetwarnings)
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()
        datasets.disable_progress_bars()
        rng = np.random.default_rng(4)
        self.texts = [rng.integers(1, VOCABULARY, n).tolist() for n in (9, 5, 12, 7, 6, 10, 4, 8)]
        self.labels = [[-100, -100, *text[2:]] for text in self.texts]
        self.data = datasets.Dataset.from_dict({"input_ids": self.texts, "labels": self.labels})
        self.teacher, self.student = model_of(1, 2), model_of(2, 1)

    def store(self, keys=None):
        """The teacher's whole distribution, as float32 logits."""
        path = f"{self.folder}/teacher{bool(keys)}.kdt"
        field = {"kind": kd.StoreKind.DENSE, "name": "logits", "encoding": kd.DType.FLOAT32}
        with (
            kd.StoreWriter(
                self.ctx, path, [field], vocabulary=VOCABULARY, align=kd.Align.NEXT
            ) as writer,
            kd.Batch(self.ctx) as batch,
            kd.Targets(self.ctx) as targets,
            torch.no_grad(),
        ):
            for i, text in enumerate(self.texts):
                ids = torch.tensor([text])
                key = keys[i] if keys else kd.store_key(self.ctx, ids[0].numpy())
                batch.begin_packed([0, len(text)]).set("tokens", ids[0].numpy())
                batch.set_samples(keys=np.array([key], np.uint64))
                targets.begin(len(text)).set("logits", self.teacher(ids).logits[0].numpy())
                writer.add(batch, targets)
        return path

    def arguments(self, kind, **more):
        given = {
            "output_dir": self.folder + "/run",
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 2,
            "learning_rate": 1e-2,
            "max_steps": 4,
            "report_to": [],
            "use_cpu": True,
            "logging_steps": 1,
            "save_strategy": "no",
            "lr_scheduler_type": "constant",
            "disable_tqdm": True,
            "seed": 7,
        }
        return kind(**{**given, **more})

    def collator(self, features):
        longest = max(len(one["input_ids"]) for one in features)

        def padded(name, value):
            rows = [[*one[name], *[value] * (longest - len(one[name]))] for one in features]
            return torch.tensor(rows)

        ids = padded("input_ids", PAD)
        made = {"input_ids": ids, "labels": padded("labels", -100)}
        return {**made, "attention_mask": (ids != PAD).long()}

    def test_the_same_steps_as_gkd(self):
        class Reference(transformers.Trainer):
            """TRL's loss on its own."""

            compute_loss = GKDTrainer.compute_loss
            generalized_jsd_loss = staticmethod(GKDTrainer.generalized_jsd_loss)
            teacher_model, beta = self.teacher, 0.3

        class Ours(DistillTrainerMixin, transformers.Trainer):
            pass

        def run(kind, **more):
            model = copy.deepcopy(self.student)
            arguments = self.arguments(
                transformers.TrainingArguments, optim="sgd", learning_rate=0.1
            )
            given = {"args": arguments, "train_dataset": self.data, "data_collator": self.collator}
            trainer = kind(model, **given, **more)
            quietly(trainer).train()
            losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
            return losses, torch.cat([p.detach().flatten() for p in model.parameters()])

        term = {"teacher_share": 0.3, "align": kd.Align.NEXT, "mask_field": "mask"}
        theirs, weights = run(Reference)
        moved = (weights - torch.cat([p.flatten() for p in self.student.parameters()])).abs().max()
        self.assertGreater(moved.item(), 0.01)
        for teacher in (self.store(), self.teacher):
            for fused in (True, False):
                criterion = DistillLoss().add("jsd", teacher_field="logits", **term)
                made = run(Ours, teacher=teacher, criterion=criterion, fused_head=fused)
                np.testing.assert_allclose(made[0], theirs, rtol=1e-4)
                self.assertLess((made[1] - weights).abs().max().item(), 1e-5)

    def test_sft_with_a_stored_teacher(self):
        class Trainer(DistillTrainerMixin, SFTTrainer):
            pass

        for packed in (False, True):
            with self.subTest(packed=packed):
                arguments = self.arguments(SFTConfig, padding_free=packed, max_length=None)
                tokenizer = transformers.PreTrainedTokenizerFast(
                    tokenizer_object=words(), pad_token="0", eos_token="1"
                )
                trainer = Trainer(
                    copy.deepcopy(self.student),
                    args=arguments,
                    train_dataset=self.data,
                    processing_class=tokenizer,
                    teacher=self.store() if not packed else self.folder + "/teacherFalse.kdt",
                    terms={"forward_kl": 0.5, "cross_entropy": 0.5},
                )
                batch = next(iter(trainer.get_train_dataloader()))
                self.assertEqual("position_ids" in batch, packed)
                loss = trainer.compute_loss(trainer.model, dict(batch))
                self.assertAlmostEqual(loss.item(), self.by_hand(batch, packed), delta=1e-4)
                result = quietly(trainer).train()
                lines = [line for line in trainer.state.log_history if "loss" in line]
                self.assertIn("distill/forward_kl", lines[0])
                self.assertGreater(result.metrics["train_loss"], 0)
                found = trainer.evaluate(self.data)
                self.assertGreater(found["eval_loss"], 0)

    def by_hand(self, batch, packed):
        """The same objective in PyTorch, sample by sample."""
        ids, labels = batch["input_ids"], batch["labels"]
        samples = list(zip(ids, labels))
        if packed:
            first = (batch["position_ids"][0] == 0).nonzero().flatten().tolist()
            ends = [*first[1:], ids.shape[1]]
            samples = [(ids[0, a:b], labels[0, a:b]) for a, b in zip(first, ends)]
        total, count = 0.0, 0
        for tokens, label in samples:
            length = len(tokens) if packed else int((tokens != PAD).sum())
            with torch.no_grad():
                z, v = (m(tokens[None, :length]).logits[0] for m in (self.student, self.teacher))
            for row in range(length - 1):
                if label[row + 1] == -100:
                    continue
                q, p = z[row].log_softmax(0), v[row].log_softmax(0)
                total += 0.5 * ((p.exp() * (p - q)).sum() - q[label[row + 1]]).item()
                count += 1
        return total / count

    def test_keys_of_a_column(self):
        class Ours(DistillTrainerMixin, transformers.Trainer):
            pass

        keys = [(2**64 - 1 - i, i) for i in range(len(self.texts))]
        path = self.store(keys)
        column = [f"{first:016x}{second:016x}" for first, second in keys]
        data = self.data.add_column("distill_key", column)
        arguments = self.arguments(transformers.TrainingArguments)
        given = {"args": arguments, "data_collator": self.collator, "teacher": path}
        trainer = Ours(self.student, train_dataset=data, **given)
        self.assertIsInstance(trainer.data_collator, KeyCollator)
        quietly(trainer).train()
        with self.assertRaisesRegex(kd.Error, "NOT_FOUND"):
            quietly(Ours(self.student, train_dataset=self.data, **given)).train()
        absent = Ours(self.student, train_dataset=self.data, missing=kd.Missing.ABSENT, **given)
        quietly(absent).train()
        self.assertEqual(absent.criterion.result.rows[0], 0)

    def test_a_model_whose_logits_are_no_product_is_refused(self):
        class Ours(DistillTrainerMixin, transformers.Trainer):
            pass

        class Odd(transformers.LlamaForCausalLM):
            def forward(self, input_ids=None, attention_mask=None, labels=None, **given):
                made = super().forward(input_ids, attention_mask, **given)
                made.logits = 2 * made.logits
                return made

        odd = Odd(self.student.config)
        odd.load_state_dict(self.student.state_dict())
        arguments = self.arguments(transformers.TrainingArguments)
        given = {"args": arguments, "train_dataset": self.data, "data_collator": self.collator}
        with self.assertRaisesRegex(ValueError, "fused_head=False"):
            quietly(Ours(odd, teacher=self.teacher, **given)).train()
        quietly(Ours(odd, teacher=self.teacher, fused_head=False, **given)).train()
        with self.assertRaisesRegex(TypeError, "teacher: expected a store's path"):
            Ours(odd, teacher=3, **given)


def write_run(folder):
    """A student's folder, a data set and a store for examples/neighbors/sft_stored.py."""
    case = TrainerTest("test_keys_of_a_column")
    case.setUp()
    case.folder, paths = folder, [folder + "/student", folder + "/data.jsonl"]
    case.student.save_pretrained(paths[0])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words(), pad_token="0", eos_token="1"
    )
    tokenizer.save_pretrained(paths[0])
    case.data.to_json(paths[1])
    paths.append(case.store())
    case.doCleanups()
    return paths


def quietly(trainer):
    """Without its lines on the terminal."""
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


def words():
    """A tokenizer of numbers."""
    from tokenizers import Tokenizer, models

    return Tokenizer(models.WordLevel({str(i): i for i in range(VOCABULARY)}, unk_token="0"))


if __name__ == "__main__":
    unittest.main()
