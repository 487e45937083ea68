"""Static embeddings: a student of an encoder, lazy steps, a folder."""

import json
import unittest

import numpy as np

import kdistill as kd

from support import Case

WORDS = ["[UNK]", "[CLS]", "[SEP]", "[unused1]", "red", "green", "blue", "cat", "dog", "bird"]
BERT = {
    "model_type": "bert",
    "vocab_size": len(WORDS),
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "max_position_embeddings": 16,
    "type_vocab_size": 1,
    "initializer_range": 0.5,
    "hidden_act": "gelu",
}


class StaticTest(Case):
    def setUp(self):
        super().setUp()
        source = {
            "added_tokens": [
                {"id": i, "content": word, "special": True} for i, word in enumerate(WORDS[:3])
            ],
            "normalizer": {"type": "BertNormalizer"},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 1], "sep": ["[SEP]", 2]},
            "model": {
                "type": "WordPiece",
                "unk_token": "[UNK]",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {word: i for i, word in enumerate(WORDS)},
            },
        }
        self.write("tokenizer.json", json.dumps(source))
        self.tokenizer = kd.Tokenizer(self.ctx, self.folder)
        self.student = kd.Model(self.ctx, BERT).static_student(self.tokenizer, hidden_size=4)

    def embed(self, model, *texts):
        ids = [self.tokenizer.encode(text) for text in texts]
        batch = kd.Batch(self.ctx).begin_packed(np.cumsum([0] + [len(i) for i in ids]))
        batch.set("tokens", np.concatenate(ids).astype(np.int64))
        model.forward(batch, kd.Mode.TRAIN)
        return model.output("embedding").copy()

    def test_a_text_is_the_mean_of_its_words(self):
        table = dict(self.student.tensors)["embedding.weight"]
        self.assertEqual(table.shape, (10, 4))
        self.assertFalse(table[:4].any())  # special and unused tokens
        found = self.embed(self.student, "red cat", "red unknown cat", "unknown")
        mean = table[[4, 7]].mean(0)
        np.testing.assert_allclose(found[0], mean / np.linalg.norm(mean), rtol=1e-5)
        np.testing.assert_array_equal(found[1], found[0])
        self.assertFalse(found[2].any())

    def test_lazy_steps_change_what_was_read(self):
        table = dict(self.student.tensors)["embedding.weight"]
        before = table.copy()
        optimizer = kd.Optimizer(self.ctx, kd.OptimizerKind.ADAMW, self.student)
        optimizer.add_group("embedding.weight", lazy=1, weight_decay=0.1)
        found = self.embed(self.student, "red cat", "blue")
        self.student.add_output_gradient("embedding", np.ones_like(found))
        self.student.backward()
        optimizer.step(0.1)
        changed = (table != before).any(1).nonzero()[0]
        self.assertEqual(changed.tolist(), [4, 6, 7])

    def test_a_folder_is_both_programs(self):
        self.student.save(self.folder + "/static")
        loaded = kd.Model.load(self.ctx, self.folder + "/static")
        texts = "red cat", "bird bird unknown"
        np.testing.assert_array_equal(self.embed(loaded, *texts), self.embed(self.student, *texts))
        with open(self.folder + "/static/modules.json", encoding="utf-8") as file:
            types = [module["type"].rpartition(".")[2] for module in json.load(file)]
        self.assertEqual(types, ["StaticEmbedding", "Normalize"])
        with open(self.folder + "/static/config.json", encoding="utf-8") as file:
            self.assertEqual(json.load(file)["model_type"], "model2vec")


if __name__ == "__main__":
    unittest.main()
