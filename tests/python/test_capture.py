"""kdistill.capture: answers of servers into a store, and what no teacher can have said."""

import contextlib
import http.server
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
import unittest
import urllib.error
import urllib.request

import numpy as np

import kdistill as kd
from kdistill.capture import Capture

from support import Case

VOCABULARY = 11
PROMPT, ANSWER = [1, 2, 3], [4, 5]
MODEL = os.path.join(os.environ.get("KD_DATA", ""), "tinystories-656k")


def row_of(token, k=3):
    """The token first, then others: log-probabilities that fall."""
    others = [i for i in range(VOCABULARY) if i != token][: k - 1]
    return list(zip([token, *others], np.log([0.6, 0.2, 0.1][:k]).tolist()))


def flat(rows):
    """vLLM's FlatLogprobs: columns."""
    counts = [len(row) for row in rows]
    ends = np.cumsum(counts).tolist()
    entries = [entry for row in rows for entry in row]
    return types.SimpleNamespace(
        start_indices=[e - n for e, n in zip(ends, counts)],
        end_indices=ends,
        token_ids=[token for token, _ in entries],
        logprobs=[value for _, value in entries],
    )


def dicts(rows):
    """vLLM's older form: {id: Logprob}, None for the first token of a prompt."""
    return [
        {token: types.SimpleNamespace(logprob=value) for token, value in row} or None
        for row in rows
    ]


def vllm(form, prompt=True, answer=True, prompt_rows=None):
    """A RequestOutput."""
    asked = prompt_rows or [[], *(row_of(token) for token in PROMPT[1:])]
    said = [row_of(token) for token in ANSWER]
    one = types.SimpleNamespace(token_ids=ANSWER, logprobs=form(said) if answer else None)
    return types.SimpleNamespace(
        prompt_token_ids=PROMPT,
        prompt_logprobs=form(asked) if prompt else None,
        outputs=[one],
    )


def pairs(rows):
    """SGLang's: [log-probability, id, text]."""
    return [[[value, token, None] for token, value in row] or None for row in rows]


def sglang():
    asked, said = [[], *map(row_of, PROMPT[1:])], list(map(row_of, ANSWER))
    return {
        "text": "..",
        "meta_info": {
            "input_token_logprobs": [[None, 1, None], *(pairs([r])[0][0] for r in asked[1:])],
            "input_top_logprobs": pairs(asked),
            "output_token_logprobs": [pairs([row])[0][0] for row in said],
            "output_top_logprobs": pairs(said),
        },
    }


def llama_cpp(rows=None):
    entries = []
    for row in rows or map(row_of, ANSWER):
        tops = [{"id": token, "logprob": value, "token": "x"} for token, value in row]
        entries.append({**tops[0], "top_logprobs": tops})
    return {"content": "..", "completion_probabilities": entries}


def openai_chat(name="token_id:{}", **more):
    content = []
    for row in map(row_of, ANSWER):
        tops = [{"token": name.format(token), "logprob": value} for token, value in row]
        content.append({**tops[0], "top_logprobs": tops})
    return {"choices": [{"logprobs": {"content": content}}], **more}


def openai_text(name="t{}"):
    rows = list(map(row_of, ANSWER))
    logprobs = {
        "tokens": [name.format(row[0][0]) for row in rows],
        "token_logprobs": [row[0][1] for row in rows],
        "top_logprobs": [{name.format(token): value for token, value in row} for row in rows],
    }
    return {"choices": [{"text": "..", "logprobs": logprobs}]}


class CaptureTest(Case):
    def setUp(self):
        super().setUp()
        self.path = self.folder + "/teacher.kdt"

    def capture(self, **options):
        return Capture(self.ctx, self.path, VOCABULARY, **options)

    def rows(self, ids):
        """What the store says about a text: {id: probability} of each row, from its first on."""
        with kd.Store(self.ctx, self.path) as store, kd.Targets(self.ctx) as targets:
            number = store.find(kd.store_key(self.ctx, np.array(ids)))
            found = store.read(number, targets).sparse("topk")
            ends = found["offsets"]
            return store.record(number).first, [
                dict(zip(found["ids"][a:b].tolist(), np.exp(found["values"][a:b]).round(3)))
                for a, b in zip(ends[:-1], ends[1:])
            ]

    def check_rows(self, first, tokens):
        begins, rows = self.rows([*PROMPT, *ANSWER])
        self.assertEqual(begins, first)
        self.assertEqual(len(rows), len(tokens))
        for row, token in zip(rows, tokens):
            self.assertAlmostEqual(row[token], 0.6, places=2)
            self.assertEqual(len(row), 3)

    def test_vllm_in_both_forms(self):
        for form in (flat, dicts):
            for prompt in (True, False):
                with self.subTest(form=form.__name__, prompt=prompt):
                    with self.capture() as capture:
                        self.assertEqual(capture.vllm(vllm(form, prompt)), 1)
                        self.assertAlmostEqual(capture.figures.mean_nll, -np.log(0.6), places=5)
                        self.assertAlmostEqual(capture.figures.captured_mass, 0.9, places=5)
                        self.assertEqual(capture.figures.missing_share, 0)
                    tokens = [*PROMPT[1:], *ANSWER] if prompt else ANSWER
                    self.check_rows(0 if prompt else 2, tokens)
                    os.remove(self.path)

    def test_a_text_that_the_teacher_only_read(self):
        with self.capture() as capture:
            self.assertEqual(capture.vllm(vllm(flat, answer=False)), 1)
        self.assertEqual(self.rows(PROMPT)[0], 0)

    def test_other_servers(self):
        whole, after = [*PROMPT[1:], *ANSWER], ANSWER
        strings = [f"t{i}" for i in range(VOCABULARY)]
        cases = (
            ("sglang", lambda c: c.sglang(sglang()), 0, whole),
            ("sglang, a list", lambda c: c.sglang([sglang()]), 0, whole),
            ("llama.cpp", lambda c: c.llama_cpp(llama_cpp(), PROMPT), 2, after),
            ("openai, ids as strings", lambda c: c.openai(openai_chat(), PROMPT), 2, after),
            ("openai, strings", lambda c: c.openai(openai_chat("t{}"), PROMPT), 2, after),
            ("openai, lists", lambda c: c.openai(openai_text(), PROMPT), 2, after),
            (
                "openai, its own ids",
                lambda c: c.openai(openai_chat(prompt_token_ids=PROMPT)),
                2,
                after,
            ),
        )
        for name, add, first, tokens in cases:
            with self.subTest(name):
                with self.capture(tokens=strings) as capture:
                    self.assertEqual(add(capture), 1)
                self.check_rows(first, tokens)
                os.remove(self.path)

    def test_it_goes_on_where_it_ended(self):
        other = [7, 8, 9]
        with self.capture() as capture:
            self.assertEqual(capture.new([PROMPT, other]), [PROMPT, other])
            capture.vllm(vllm(flat))
            self.assertEqual(capture.new([PROMPT, other]), [other])
            self.assertTrue(capture.has([*PROMPT, *ANSWER]))
            self.assertEqual(capture.vllm(vllm(flat)), 0)
            self.assertEqual((capture.written, capture.known), (1, 1))
        with self.capture() as again:
            self.assertEqual(again.new([PROMPT, other]), [other])
            self.assertEqual(again.vllm(vllm(flat)), 0)
        with kd.Store(self.ctx, self.path) as store:
            self.assertEqual(len(store), 1)

    def test_a_trainer_finds_the_rows(self):
        with self.capture() as capture:
            capture.vllm(vllm(flat))
        ids = np.array([*PROMPT, *ANSWER])
        batch = kd.Batch(self.ctx).begin_packed([0, len(ids)]).set("tokens", ids)
        batch.set_samples(keys=np.array([kd.store_key(self.ctx, ids)], np.uint64))
        targets = kd.Teacher.open(self.ctx, self.path).read(batch, kd.Targets(self.ctx))
        present = targets.sparse("topk")["present"]
        self.assertEqual(present.tolist(), [1, 1, 1, 1, 0])

    def test_stale_prompt_log_probabilities_are_refused(self):
        first = []
        stale = {
            "another prompt's": [first, *(row_of(9 - t) for t in PROMPT[1:])],
            "zeros": [first, *([(t, 0.0) for t in range(3)] for _ in PROMPT[1:])],
            "noise": [first, *([(t, -1e-30) for t in (0, 9)] for _ in PROMPT[1:])],
            "improbable": [first, *([(t, -50.0), (0, -1.0)] for t in PROMPT[1:])],
        }
        for name, rows in stale.items():
            with self.subTest(name), self.capture() as capture:
                with self.assertRaisesRegex(
                    (ValueError, kd.Error), "not about this text|masses|sum|mass"
                ):
                    capture.vllm(vllm(flat, answer=False, prompt_rows=rows))
                self.assertEqual(capture.written, 0)
            os.remove(self.path)
        for value, message in ((float("nan"), "nan"), (0.5, "0.5"), (-9999.0, "no log-prob")):
            rows = [first, *([(t, value)] for t in PROMPT[1:])]
            told = self.assertRaisesRegex(ValueError, message)
            with self.subTest(value), self.capture() as capture, told:
                capture.vllm(vllm(flat, answer=False, prompt_rows=rows))
            os.remove(self.path)

    def test_what_is_missing_is_told(self):
        after = llama_cpp()
        after["completion_probabilities"][0]["prob"] = 0.5
        cases = (
            (lambda c: c.llama_cpp({"content": ""}, PROMPT), "n_probs"),
            (lambda c: c.llama_cpp(after, PROMPT), "post_sampling_probs"),
            (lambda c: c.openai(openai_text(), PROMPT), "have no id"),
            (lambda c: c.openai(openai_chat()), "prompt_token_ids"),
            (lambda c: c.openai({"choices": [{"text": ""}]}, PROMPT), "top_logprobs"),
            (lambda c: c.sglang({"meta_info": {}}), "logprob_start_len"),
            (lambda c: c.sglang({"meta_info": {}}, PROMPT), "return_logprob"),
            (lambda c: list(c.ask("http://x/y", [PROMPT])), "/completion"),
        )
        with self.capture() as capture:
            for call, message in cases:
                with self.assertRaisesRegex(ValueError, message):
                    call(capture)
        self.assertEqual(capture.written, 0)

    def test_a_server_is_asked_for_what_is_new(self):
        asked = []

        class Server(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                asked.append((self.path, json.loads(body)))
                forms = {
                    "/completion": llama_cpp(),
                    "/generate": sglang(),
                    "/v1/completions": openai_text("token_id:{}"),
                    "/v1/chat/completions": openai_chat(),
                }
                answer = json.dumps(forms[self.path]).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_port}"
            for path in ("/completion", "/generate", "/v1/completions", "/v1/chat/completions"):
                for _ in range(2):  # the second time, all is there
                    with self.capture() as capture:
                        list(capture.ask(url + path, [PROMPT], temperature=0.5))
                    self.assertEqual(
                        self.rows([*PROMPT, *ANSWER])[0], 0 if path == "/generate" else 2
                    )
                os.remove(self.path)
            server.shutdown()
        self.assertEqual(len(asked), 4)
        self.assertEqual(asked[0][1]["prompt"], PROMPT)
        self.assertEqual(asked[0][1]["temperature"], 0.5)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def llama_server(path):
    """llama-cpp-python's server of a GGUF file, when it answers."""
    port = free_port()
    words = [sys.executable, "-m", "llama_cpp.server", "--model", path, "--port", str(port)]
    words += ["--logits_all", "true", "--n_ctx", "128", "--n_threads", "1", "--verbose", "false"]
    with tempfile.TemporaryFile() as said, subprocess.Popen(words, stdout=said, stderr=said) as run:
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(600):
                if run.poll() is not None:
                    said.seek(0)
                    raise RuntimeError(said.read().decode()[-2000:])
                try:
                    urllib.request.urlopen(url + "/v1/models", timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield url
        finally:
            run.terminate()


class LlamaServerTest(Case):
    def setUp(self):
        super().setUp()
        for package in ("llama_cpp", "uvicorn", "fastapi", "sse_starlette", "starlette_context"):
            try:
                __import__(package)
            except Exception:
                self.skipTest(f"{package} is not installed")
        if not os.path.isdir(MODEL):
            self.skipTest("KD_DATA has no model")

    def test_a_real_server_says_what_the_model_says(self):
        model, tokenizer = kd.Model.load(self.ctx, MODEL), kd.Tokenizer(self.ctx, MODEL)
        gguf, path = self.folder + "/m.gguf", self.folder + "/t.kdt"
        model.save_gguf(tokenizer, gguf, kd.DType.FLOAT32)
        strings = [tokenizer.token_bytes(i)[0] for i in range(len(tokenizer))]
        texts = ["Once upon a time", "The little dog"]
        begin = model.config["bos_token_id"]  # the server puts it before a text
        prompts = [[begin, *tokenizer.encode(text).tolist()] for text in texts]
        given = {"max_tokens": 12, "temperature": 0, "logprobs": 5}
        with (
            llama_server(gguf) as url,
            Capture(self.ctx, path, len(tokenizer), tokens=strings) as capture,
        ):
            answers = list(capture.ask(url + "/v1/completions", prompts, texts, **given))
            self.assertEqual(len(answers), 2)
            self.assertEqual(list(capture.ask(url + "/v1/completions", prompts, texts)), [])
            self.assertLess(capture.figures.mean_nll, 2)
        # the same rows as the library's own engine gives, of the same weights
        with kd.Store(self.ctx, path) as store:
            for number in range(len(store)):
                self.compare(model, store, number, prompts, answers, strings)

    def compare(self, model, store, number, prompts, answers, strings):
        record = store.record(number)
        prompt = prompts[number]
        said = answers[number]["choices"][0]["logprobs"]["tokens"]
        known = {}
        for i, text in enumerate(strings):
            known.setdefault(text, i)
        ids = np.array([*prompt, *(known[text.encode()] for text in said)])
        batch = kd.Batch(self.ctx).begin_packed([0, len(ids)]).set("tokens", ids)
        logits = model.forward(batch, kd.Mode.EVALUATE).output("logits")[record.first : -1]
        logprobs = logits - np.log(np.exp(logits.astype(np.float64)).sum(1, keepdims=True))
        with kd.Targets(self.ctx) as targets:
            found = store.read(number, targets).sparse("topk")
            for row, (a, b) in enumerate(zip(found["offsets"][:-1], found["offsets"][1:])):
                own = logprobs[row][found["ids"][a:b]]
                np.testing.assert_allclose(
                    found["values"][a:b], own, atol=0.06
                )  # 8 bits in the store


if __name__ == "__main__":
    unittest.main()
