"""Tokenizers, chats, and two tokenizers on one text."""

import ctypes
import json
import os
import unittest

import numpy as np

import kdistill as kd

from support import LLAMA, Case

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MEMBERS = (
    "{% for m in messages %}{{ m.content }}|{{ m.reasoning_content }}|"
    "{{ m.tool_calls | tojson if m.tool_calls }};{% endfor %}"
    "{{ tools | tojson }}{{ thinking }}{{ strftime_now('%Y') }}"
)
CHAT = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "ab"}]


class TokenizerTest(Case):
    threads = 1

    def setUp(self):
        super().setUp()
        vocabulary = {c: i for i, c in enumerate(["a", "b", "\u0120", "!", "ab"])}
        added = [(5, "<end>"), (6, "<|im_start|>")]
        source = {
            "added_tokens": [{"id": i, "content": c, "special": True} for i, c in added],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
            "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "vocab": vocabulary, "merges": ["a b"]},
        }
        self.write("tokenizer.json", json.dumps(source))
        self.write("chat_template.jinja", CHATML)
        self.tokenizer = kd.Tokenizer(self.ctx, self.folder)
        self.bare = kd.Tokenizer(self.ctx, self.folder + "/tokenizer.json")

    def test_texts_become_ids_and_come_back(self):
        ids = self.tokenizer.encode("ab a!<end>")
        self.assertEqual(ids.tolist(), [4, 2, 0, 3, 5])
        self.assertEqual(self.tokenizer.decode(ids, skip_special=True), "ab a!")
        stream = kd.Detokenizer(self.tokenizer)
        pieces = [stream.push(i) for i in ids]
        self.assertEqual("".join(pieces) + stream.finish(), "ab a!<end>")

    def test_ends_are_bytes_of_the_text(self):
        ids, ends = self.tokenizer.encode_ends(b"ab a")
        self.assertEqual((ids.tolist(), ends.tolist()), ([4, 2, 0], [2, 3, 4]))

    def test_tokens_have_names_and_flags(self):
        flags = kd.TokenFlag.SPECIAL | kd.TokenFlag.ADDED
        self.assertEqual((len(self.tokenizer), self.tokenizer.token_id("ab")), (7, 4))
        self.assertEqual(self.tokenizer.token(5), ("<end>", flags))
        self.assertEqual(self.tokenizer.token_bytes(2), (b" ", 0))

    def test_equal_content_has_an_equal_hash(self):
        self.assertEqual(self.tokenizer.hash(), self.bare.hash())
        self.assertEqual(len(self.tokenizer.hash()), 32)

    def test_added_and_renamed_tokens_are_saved_and_compared(self):
        self.assertEqual(self.tokenizer.add("<think>"), 7)
        self.tokenizer.rename("<end>", "<|im_end|>")
        differences = self.tokenizer.compare(self.bare, allowed=["<think>"])
        self.assertEqual(differences, (1, ["5: <|im_end|> | <end>"]))
        self.tokenizer.save(self.folder + "/new")
        again = kd.Tokenizer(self.ctx, self.folder + "/new")
        self.assertEqual(again.encode("<|im_end|>").tolist(), [5])

    def test_a_chat_is_what_its_template_says(self):
        self.assertIs(self.tokenizer.chat_format, kd.ChatFormat.CHATML)
        turns = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nab<|im_end|>\n"
        self.assertEqual(kd.chat_render(self.tokenizer, CHAT), turns)
        self.assertTrue(self.tokenizer.has_chat_template)
        self.assertFalse(self.bare.has_chat_template)

    def test_the_assistants_tokens_are_marked(self):
        self.tokenizer.rename("<end>", "<|im_end|>")
        ids, answer = kd.chat_encode(self.tokenizer, CHAT)
        self.assertEqual(self.tokenizer.decode(ids[answer == 1]), "ab<|im_end|>")
        self.assertEqual(kd.chat_encode(self.tokenizer, CHAT, skip=[1])[1].sum(), 0)

    def test_a_template_gets_all_members(self):
        self.write("chat_template.jinja", MEMBERS)
        tokenizer = kd.Tokenizer(self.ctx, self.folder)
        call = {"id": 2**70, "arguments": {"x": 1.5}}
        turns = [
            {"role": "user", "content": [{"type": "text", "text": "\u00e9"}]},
            {"role": "assistant", "content": None, "reasoning": "why", "tool_calls": [call]},
        ]
        values = {"tools": [{"name": "f"}], "variables": {"thinking": False}, "now": 10**9}
        self.assertEqual(
            kd.chat_render(tokenizer, turns, **values),
            "[{'type': 'text', 'text': '\u00e9'}]||;"
            '|why|[{"id": 1180591620717411303424, "arguments": {"x": 1.5}}];'
            '[{"name": "f"}]False2001',
        )


class WordsTest(Case):
    threads = 1

    def setUp(self):
        super().setUp()
        words = ["[UNK]", "[CLS]", "[SEP]", "the", "play", "##ing", "."]
        special = [{"id": i, "content": c, "special": True} for i, c in enumerate(words[:3])]
        self.source = {
            "truncation": {"max_length": 128},
            "padding": {"strategy": "BatchLongest", "pad_id": 0, "pad_type_id": 0},
            "added_tokens": special,
            "normalizer": {"type": "BertNormalizer"},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 1], "sep": ["[SEP]", 2]},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {
                "type": "WordPiece",
                "unk_token": "[UNK]",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100,
                "vocab": {word: i for i, word in enumerate(words)},
            },
        }
        self.write("tokenizer.json", json.dumps(self.source))
        self.tokenizer = kd.Tokenizer(self.ctx, self.folder)

    def test_words_become_ids_and_come_back(self):
        ids = self.tokenizer.encode("The pl\u00e0ying.", special=True)
        self.assertEqual(ids.tolist(), [1, 3, 4, 5, 6, 2])
        self.assertEqual(self.tokenizer.decode(ids, skip_special=True), "the playing.")

    def test_pairs_have_types(self):
        ids, types = self.tokenizer.encode_pair("the", "play")
        self.assertEqual((ids.tolist(), types.tolist()), ([1, 3, 2, 4, 2], [0, 0, 0, 1, 1]))
        ids, types = self.tokenizer.encode_pair("the", "play", special=False)
        self.assertEqual((ids.tolist(), types.tolist()), ([3, 4], [0, 1]))
        ids, types = self.tokenizer.encode_pair("the")
        self.assertEqual((ids.tolist(), types.tolist()), ([1, 3, 2], [0, 0, 0]))

    def test_what_the_file_asks_of_cuts_and_padding_is_told(self):
        info = self.tokenizer.info
        self.assertEqual((info.max_tokens, info.padding_tokens), (128, 0))
        self.assertEqual((info.padding_token, info.padding_type), (0, 0))


def letters():
    """The byte alphabet of GPT-2."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [
        chr(b) if b in plain else chr(256 + sum(o not in plain for o in range(b)))
        for b in range(256)
    ]


class TwoTokenizersTest(Case):
    threads = 1

    def tokenizer(self, name, merges, end):
        folder = os.path.join(self.folder, name)
        os.makedirs(folder)
        names = [end, *letters(), *(a + b for a, b in merges)]
        source = {
            "added_tokens": [{"id": 0, "content": end, "special": True, "normalized": False}],
            "normalizer": None,
            "post_processor": None,
            "decoder": {"type": "ByteLevel"},
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
            "model": {
                "type": "BPE",
                "vocab": {n: i for i, n in enumerate(names)},
                "merges": [list(m) for m in merges],
            },
        }
        self.write(name + "/tokenizer.json", json.dumps(source))
        ends = {"eos_token_id": [0], "bos_token_id": 5}
        self.write(name + "/generation_config.json", json.dumps(ends))
        return kd.Tokenizer(self.ctx, folder)

    def test_end_tokens_are_the_default(self):
        tokenizer = self.tokenizer("a", [("h", "e")], "<end>")
        self.assertEqual((tokenizer.end_tokens, tokenizer.begin_token), ([0], 5))
        model = kd.Model(self.ctx, {**LLAMA, "vocab_size": 300})
        dict(model.tensors)["lm_head.weight"][:] = 0
        generator = kd.Generator(model, tokenizer)
        generator.add([1, 2], max_tokens=4, temperature=0)  # all alike: the lowest id, which ends
        self.assertEqual(len(generator.next().ids), 1)
        generator.add([1, 2], max_tokens=4, temperature=0, stop_tokens=())
        self.assertEqual(len(generator.next().ids), 4)

    def test_plain_encoding_counts_before_it_writes(self):
        tokenizer, count = self.tokenizer("a", [("h", "e")], "<end>"), ctypes.c_int64()
        at = tokenizer._pointer, b"he", 2, 0, None, 0
        self.assertEqual(kd.lib.kd_tokenizer_encode(*at, ctypes.byref(count)), 0)
        self.assertEqual(count.value, 1)

    def test_a_teacher_with_another_tokenizer(self):
        ours = self.tokenizer("a", [("h", "e")], "<end>")
        theirs = self.tokenizer("b", [("h", "e"), ("he", "n")], "<stop>")
        batch, other = (
            kd.Batch(self.ctx).begin_texts(t, ["hen he", "then"]) for t in (ours, theirs)
        )
        self.assertEqual(batch.field("end").tolist(), [2, 3, 4, 6, 6, 1, 3, 4, 4])
        self.assertEqual(other.field("end").tolist(), [3, 4, 6, 6, 1, 4, 4])
        rows = other.counts.rows
        logits = np.random.default_rng(0).normal(size=(rows, 260)).astype(np.float32)
        said = kd.Targets(self.ctx).begin(rows).set("logits", logits).select("top", logits, k=20)
        targets = kd.Targets(self.ctx)
        self.assertEqual(targets.align_batch(batch, said, other), 4)  # " ", "he", both ends
        self.assertEqual(targets.present("logits").tolist(), [0, 1, 1, 1, 0, 0, 0, 1, 0])
        loss = kd.Loss(self.ctx)
        term = loss.add(kd.LossKind.ULD, teacher_field="top")
        self.assertEqual(loss.set_shared_tokens(term, ours, 258, theirs, 260), 258)
        z = np.random.default_rng(1).normal(size=(9, 258)).astype(np.float32)
        made = loss.evaluate({"logits": z}, batch, targets, gradients={"logits": np.zeros_like(z)})
        self.assertEqual(made.rows[0], 4)
        self.assertTrue(np.isfinite(made.value))

    def test_tokens_with_the_same_bytes_are_mapped(self):
        ours = self.tokenizer("a", [("h", "e")], "<end>")
        theirs = self.tokenizer("b", [("h", "e"), ("he", "n")], "<stop>")
        self.assertEqual((ours.map(theirs)[257], theirs.map(ours)[258]), (257, -1))
        self.assertEqual(ours.token_bytes(257)[0], b"he")


if __name__ == "__main__":
    unittest.main()
