"""Generators, students, adapters, GGUF."""

import json
import unittest

import numpy as np

import kdistill as kd

from support import LLAMA, Case


class GeneratorTest(Case):
    threads = 1

    def setUp(self):
        super().setUp()
        self.model = kd.Model(self.ctx, LLAMA, frozen=True)
        self.generator = kd.Generator(self.model, max_sequences=2)

    def test_memory_is_told_before_it_is_taken(self):
        plan = kd.Generator.estimate_memory(self.model, max_sequences=2)
        self.assertEqual(plan.cache_bytes, self.generator.info.cache_bytes)

    def test_a_prompt_has_several_texts(self):
        seen = []
        first = self.generator.add(
            [1, 2, 3],
            samples=3,
            max_tokens=5,
            seed=4,
            keep_hidden=True,
            token=lambda *all_: seen.append(all_),
        )
        texts = sorted(self.generator, key=lambda t: t.sample)
        found = [(t.request, t.sample, len(t.ids), t.hidden.shape) for t in texts]
        self.assertEqual(found, [(first, i, 5, (5, 16)) for i in range(3)])
        self.assertIs(texts[0].reason, kd.StopReason.LENGTH)
        self.assertEqual(len(seen), 15)

    def test_a_token_function_ends_a_text(self):
        self.generator.add([1], max_tokens=9, token=lambda *all_: True)
        text = self.generator.next()
        self.assertEqual((len(text.ids), text.reason), (1, kd.StopReason.HOST))

    def test_an_exception_in_a_token_function_is_raised(self):
        self.generator.add([1], max_tokens=9, token=lambda *all_: 1 // 0)
        with self.assertRaises(ZeroDivisionError):
            self.generator.next()
        self.assertIsNone(self.generator.next())

    def test_a_prompt_of_text_names_the_call_that_makes_ids(self):
        for add in self.generator.add, self.generator.beam_search:
            with self.assertRaisesRegex(TypeError, r"expected ids, got text: tokenizer\.encode"):
                add("Once")

    def test_a_draft_changes_no_text(self):
        draft = kd.Model(self.ctx, LLAMA, frozen=True)
        made = []
        for more in {}, {"draft": draft, "draft_tokens": 3, "lookup": 2, "always_draft": 1}:
            generator = kd.Generator(self.model, max_sequences=2, **more)
            for seed in range(4):
                generator.add([1, 2, 3], max_tokens=20, seed=seed, draw=kd.Draw.GUMBEL)
            texts = sorted(generator, key=lambda t: t.request)
            made.append([(t.ids.tolist(), t.logprobs.tolist()) for t in texts])
            info = generator.info
        self.assertEqual(made[0], made[1])
        self.assertGreater(info.drafted, 0)
        self.assertLessEqual(info.accepted, info.drafted)
        plan = kd.Generator.estimate_memory(self.model, draft=draft, max_sequences=2)
        self.assertGreater(plan.draft_bytes, 0)
        with self.assertRaisesRegex(kd.Error, "KD_DRAW_GUMBEL"):
            generator.add([1], temperature=1.0)

    def test_an_eight_bit_cache_takes_a_quarter_and_is_near(self):
        found, model = [], kd.Model(self.ctx, {**LLAMA, "head_dim": 64}, frozen=True)
        for cache in kd.DType.FLOAT32, kd.DType.INT8:
            generator = kd.Generator(model, max_sequences=2, cache=cache)
            generator.add(np.arange(40) % 29, max_tokens=1, temperature=0.0)
            found.append((generator.info.cache_bytes, next(iter(generator)).logprobs[0]))
        (whole, exact), (few, near) = found
        self.assertTrue(whole / 4 < few < 0.26 * whole)
        self.assertNotEqual(exact, near)
        self.assertAlmostEqual(float(exact), float(near), delta=0.01)
        with self.assertRaisesRegex(kd.Error, "cache: expected KD_FLOAT32"):
            kd.Generator(model, cache=kd.DType.INT16)

    def test_a_canceled_prompt_gives_nothing(self):
        self.generator.cancel(self.generator.add([1, 2, 3], max_tokens=5))
        self.assertIsNone(self.generator.next())
        self.generator.refresh()

    def test_beam_search_has_a_score(self):
        best, score = self.generator.beam_search([1, 2], beams=2, max_tokens=4)
        self.assertAlmostEqual(score, float(best.logprobs.sum()) / 4, places=4)

    def test_speed_is_measured(self):
        speed = self.model.measure_speed(prompt_tokens=4, new_tokens=4, repeats=1)
        self.assertGreater(speed.tokens_per_second, 0)
        half = self.model.measure_speed(
            prompt_tokens=4, new_tokens=4, repeats=1, cache=kd.DType.FLOAT16
        )
        self.assertEqual(2 * half.cache_bytes, speed.cache_bytes)


class StudentTest(Case):
    threads = 1

    def setUp(self):
        super().setUp()
        config = {**kd.student_preset("llama-100k"), "vocab_size": 50}
        self.teacher = kd.Model(self.ctx, config, frozen=True)
        self.batch = kd.Batch(self.ctx).begin_packed([0, 6]).set("tokens", np.arange(6))

    def student(self):
        return self.teacher.student(
            layer_map=[0, 2],
            intermediate_size=48,
            calibration=self.batch,
            config={"attention_sinks": 1},
            model={"recompute": 1, "shared_gradients": 1},
        )

    def test_it_is_cut_as_asked(self):
        config = self.student().config
        found = [config[k] for k in ("num_hidden_layers", "intermediate_size", "attention_sinks")]
        self.assertEqual(found, [2, 48, 1])

    def test_its_layers_are_chosen_by_what_they_do(self):
        influence = self.teacher.measure_influence(self.batch)
        self.assertEqual(len(influence), self.teacher.config["num_hidden_layers"])
        best = max(range(len(influence) - 1), key=influence.__getitem__)
        chosen = self.teacher.map_layers(2, kd.LayerChoice.INFLUENCE, self.batch)
        self.assertEqual(chosen, [best, len(influence) - 1])
        self.assertEqual(len(self.teacher.map_layers(2, kd.LayerChoice.GREEDY)), 2)
        student = self.teacher.student(
            layers=2, choose=kd.LayerChoice.INFLUENCE, calibration=self.batch
        )
        name = "model.layers.0.mlp.up_proj.weight"
        np.testing.assert_array_equal(
            dict(student.tensors)[name],
            dict(self.teacher.tensors)[name.replace("0", str(best))],
        )

    def test_its_vocabulary_is_resized(self):
        student = self.student()
        student.resize_vocabulary(60)
        student.forward(self.batch)
        self.assertEqual(student.output("logits").shape, (6, 60))

    def test_a_projection_becomes_a_layer_of_the_embedding(self):
        student, loss, wide = (
            self.student(),
            kd.Loss(self.ctx),
            np.ones((1, 5), np.float32),
        )
        sides = {"student_output": "embedding", "teacher_field": "embedding"}
        term = loss.add(kd.LossKind.HIDDEN_COSINE, **sides)
        loss.set_projection(term, kind=kd.Projection.LINEAR_BIAS)
        student.keep("embedding")
        student.forward(self.batch)
        before = student.output("embedding").copy()
        targets = kd.Targets(self.ctx).begin(6)
        targets.set_per_sample("embedding", np.repeat(wide, len(before), 0))
        loss.prepare(student, targets)
        (_, weight), (_, bias) = loss.tensors
        expected = before @ weight.T + bias
        student.append_projection(loss, term)
        student.append_dense(2 * np.eye(5), activation="none")
        student.forward(self.batch)
        np.testing.assert_allclose(student.output("embedding"), 2 * expected, atol=1e-5)
        self.assertEqual([d["out_features"] for d in student.config["kd_dense"]], [5, 5])
        with self.assertRaisesRegex(kd.Error, "expected rows of 5 numbers"):
            student.append_dense(np.eye(4))

    def test_adapters_of_a_packed_base_are_saved_for_peft(self):
        path = self.folder + "/base"
        kd.Model(self.ctx, LLAMA).save(path)
        packed = {"weights": kd.Block.Q4_0, "packed_only": True}
        model = kd.Model.load(self.ctx, path, **packed)
        model.add_lora(rank=2, alpha=6.0)
        model.add_lora("lm_head.weight", rank=3, alpha=3.0)
        optimizer = kd.Optimizer(self.ctx, kd.OptimizerKind.ADAMW, model)
        loss = kd.Loss(self.ctx)
        loss.add(kd.LossKind.CROSS_ENTROPY, label_field="tokens", align=kd.Align.NEXT)
        for _ in range(2):
            model.forward(self.batch)
            loss.backward(model, self.batch)
            optimizer.step(1e-2)
        model.save(self.folder + "/adapter")
        with open(self.folder + "/adapter" + "/adapter_config.json") as file:
            config = json.load(file)
        head, query = "lm_head", "model.layers.0.self_attn.q_proj"
        self.assertEqual((config["peft_type"], config["r"]), ("LORA", 2))
        self.assertEqual((config["rank_pattern"][head], config["alpha_pattern"][head]), (3, 3))
        self.assertEqual((config["rank_pattern"][query], config["alpha_pattern"][query]), (2, 6))
        self.assertIn(query, config["target_modules"])
        with open(self.folder + "/adapter" + "/adapter_model.safetensors", "rb") as file:
            bytes_ = file.read()
        size = int.from_bytes(bytes_[:8], "little")
        header = json.loads(bytes_[8 : 8 + size])
        for side in "AB":
            entry = header[f"base_model.model.{query}.lora_{side}.weight"]
            begin, end = (8 + size + at for at in entry["data_offsets"])
            found = np.frombuffer(bytes_[begin:end], np.float32).reshape(entry["shape"])
            here = model.tensor(f"{query}.weight.lora_{side}")
            np.testing.assert_array_equal(found, here)
            self.assertGreater(np.abs(here).max(), 0)
        with self.assertRaises(kd.Error):
            model.tensor(f"{query}.weight")
        again = kd.Model.load(self.ctx, path)  # in float32, to merge them
        again.load_lora(self.folder + "/adapter")
        again.save_lora(self.folder + "/again", dtype=kd.DType.FLOAT16)
        side = f"{query}.weight.lora_A"
        np.testing.assert_array_equal(again.tensor(side), model.tensor(side))

    def test_adapters_are_trained_layer_by_layer(self):
        student = self.student()
        student.add_lora(rank=2)
        names = [name for name, _ in student.tensors]
        self.assertIn("model.layers.1.mlp.down_proj.weight.lora_B", names)
        loss, optimizer = (
            kd.Loss(self.ctx),
            kd.Optimizer(self.ctx, kd.OptimizerKind.ADAMW, student),
        )
        loss.add(kd.LossKind.CROSS_ENTROPY, label_field="tokens", align=kd.Align.NEXT)
        student.forward(self.batch)
        with self.assertRaisesRegex(kd.Error, "kd_optimizer_begin_step"):
            loss.backward(student, self.batch)
        optimizer.begin_step(1e-3)
        student.forward(self.batch)
        loss.backward(student, self.batch)
        optimizer.step(1e-3)
        self.assertEqual(optimizer.info.steps, 1)

    def test_a_gguf_file_is_read_again(self):
        model = {"type": "BPE", "vocab": {"a": 0}, "merges": []}
        split = {"type": "ByteLevel", "add_prefix_space": False}
        self.write("tokenizer.json", json.dumps({"pre_tokenizer": split, "model": model}))
        path = self.folder + "/s.gguf"
        self.student().save_gguf(kd.Tokenizer(self.ctx, self.folder), path)
        self.assertEqual(kd.Model.load(self.ctx, path).config["vocab_size"], 50)

    def letters(self):
        model = {"type": "BPE", "vocab": {"a": 0}, "merges": []}
        split = {"type": "ByteLevel", "add_prefix_space": False}
        self.write("tokenizer.json", json.dumps({"pre_tokenizer": split, "model": model}))
        return kd.Tokenizer(self.ctx, self.folder)

    def test_a_gguf_file_of_few_bits_is_what_its_blocks_say(self):
        student = kd.Model(self.ctx, {**LLAMA, "hidden_size": 64, "intermediate_size": 96})
        path, rules = self.folder + "/s.gguf", {"*.down_proj.weight": kd.Block.Q5_1}
        made = {"format": kd.Block.Q4_0, "mixture": kd.Mix.PURE, "rules": rules}
        info = student.write_gguf(self.letters(), path, **made)
        self.assertEqual(info, student.plan_gguf(**made))
        self.assertEqual((info.fallbacks, info.fallback), (0, ""))
        self.assertTrue(4.5 < info.bits < 6 and 0.03 < info.error < 0.1)
        read, values = dict(kd.Model.load(self.ctx, path).tensors), dict(student.tensors)
        for name, form in ("up", kd.Block.Q4_0), ("down", kd.Block.Q5_1):
            matrix = values[f"model.layers.0.mlp.{name}_proj.weight"]
            image = kd.block_decode(
                self.ctx, form, kd.block_encode(self.ctx, form, matrix), matrix.shape
            )
            np.testing.assert_array_equal(read[f"model.layers.0.mlp.{name}_proj.weight"], image)

    def tokens(self):
        batch = kd.Batch(self.ctx).begin_packed(np.array([0, 12]))
        batch.set("tokens", np.arange(12) % 50)
        return batch

    def wide(self):
        return kd.Model(self.ctx, {**LLAMA, "hidden_size": 64, "intermediate_size": 96})

    def test_importance_is_collected_and_used(self):
        model, path = self.wide(), self.folder + "/importance.gguf"
        name = "model.layers.0.mlp.down_proj.weight"
        with kd.Importance(model) as importance:
            self.assertEqual(importance.get(name)[1], 0)
            importance.add(self.tokens())
            importance.save(path)
            means, count = importance.get(name)
            self.assertEqual((means.shape, count), ((96,), 12))
            again, _ = kd.Importance.load(model, path).get(name)
            np.testing.assert_allclose(again, means, rtol=1e-6)
            made = {"format": kd.Block.Q4_0, "importance": importance}
            weighed = model.plan_gguf(**made)
            model.write_gguf(self.letters(), self.folder + "/weighed.gguf", **made)
        self.assertNotEqual(weighed.error, model.plan_gguf(format=kd.Block.Q4_0).error)

    def test_matrices_are_kept_in_few_bits_alone(self):
        path, batch = self.folder + "/packed", self.tokens()
        self.wide().save(path)
        for weights in kd.DType.INT8, kd.Block.Q4_0:
            made = {"frozen": True, "weights": weights}
            whole = kd.Model.load(self.ctx, path, **made)
            alone = kd.Model.load(self.ctx, path, packed_only=True, **made)
            self.assertLess(alone.info.memory_bytes, 0.4 * whole.info.memory_bytes)
            logits = [np.array(m.forward(batch, kd.Mode.EVALUATE).output()) for m in (whole, alone)]
            self.assertLess(np.abs(logits[0] - logits[1]).max(), 0.1 * np.abs(logits[0]).max())
            with self.assertRaisesRegex(kd.Error, "packed_only"):
                alone.save(path + "-again")
            kd.Generator(alone, weights=weights).add([1, 2], max_tokens=2)

    def test_what_is_trained_on_a_lattice_is_what_the_file_holds(self):
        model, path, batch = self.wide(), self.folder + "/lattice.gguf", self.tokens()
        model.set_lattice()
        for name in "*embed_tokens.weight", "lm_head.weight":
            model.set_lattice(name, format=kd.Block.Q8_0)
        loss = kd.Loss(self.ctx)
        loss.add(kd.LossKind.CROSS_ENTROPY, label_field="tokens", align=kd.Align.NEXT)
        optimizer = kd.Optimizer(self.ctx, kd.OptimizerKind.ADAM, model)
        info = model.lattice_info
        self.assertEqual(info.changed_share, 0)
        model.forward(batch)
        loss.backward(model, batch)
        optimizer.step(1e-2)
        self.assertGreater(model.lattice_info.changed_share, 0)
        self.assertEqual(model.write_gguf(self.letters(), path, format=0).error, 0)
        seen = []
        for one in model, kd.Model.load(self.ctx, path):
            one.forward(batch, kd.Mode.EVALUATE)
            seen.append(one.output("logits").copy())
        np.testing.assert_array_equal(*seen)
        with self.assertRaisesRegex(kd.Error, "on a lattice of Q4_0"):
            model.write_gguf(self.letters(), path, format=kd.Block.Q5_0)
        model.set_lattice("*", format=0)
        with self.assertRaisesRegex(kd.Error, "kd_model_set_lattice"):
            model.lattice_info  # noqa: B018

    def test_blocks_of_few_bits(self):
        rows = np.linspace(-1, 1, 128, dtype=np.float32).reshape(2, 64)
        made = kd.block_encode(self.ctx, kd.Block.Q4_1, rows)
        self.assertEqual(made.shape, (2, kd.block_bytes(kd.Block.Q4_1, 64)))
        back = kd.block_decode(self.ctx, kd.Block.Q4_1, made, rows.shape)
        np.testing.assert_allclose(back, rows, atol=0.02)
        loud = np.ones(64)
        loud[::3] = 100
        other = kd.block_encode(self.ctx, kd.Block.Q4_1, rows, loud)
        back = kd.block_decode(self.ctx, kd.Block.Q4_1, other, rows.shape)
        np.testing.assert_allclose(back, rows, atol=0.05)
        with self.assertRaisesRegex(kd.Error, "multiple of 256"):
            kd.block_encode(self.ctx, kd.Block.Q4_K, rows)


if __name__ == "__main__":
    unittest.main()
