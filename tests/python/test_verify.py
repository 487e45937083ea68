"""Verdicts on answers."""

import unittest

import kdistill as kd


class VerifyTest(unittest.TestCase):
    def test_a_verdict_names_who_said_yes(self):
        found = kd.verify_answer("so\n#### 1,000", "1000")
        self.assertTrue(found.right)
        self.assertEqual(found.passed, kd.Verifier.NUMBER)

    def test_verifiers_are_combined(self):
        bits = kd.Verifier.NUMBER | kd.Verifier.LATEX
        self.assertTrue(kd.verify_answer("$\\frac{1}{2}$", "0.5", verifiers=bits).right)

    def test_answers_are_found(self):
        self.assertEqual(kd.verify_find_answer("x \\boxed{7}"), "7")
        self.assertEqual(kd.verify_find_number("A: 5%"), (5.0, True))

    def test_the_majority_has_votes(self):
        self.assertEqual(kd.verify_majority(["#### 1", "2", "#### 2"]), (1, 2))

    def test_pass_at_k_is_unbiased(self):
        rates = kd.verify_pass_at_k([[1, 0], [0, 0]], k=2)
        self.assertAlmostEqual(rates.pass_k, 0.5)
        self.assertEqual((rates.samples, rates.questions), (2, 2))

    def test_the_hosts_function_decides(self):
        values = {"verifiers": kd.Verifier.HOST}
        self.assertTrue(
            kd.verify_answer("a", "b", function=lambda t, e: (t, e) == ("a", "b"), **values)[0]
        )
        with self.assertRaisesRegex(kd.Error, "ZeroDivisionError"):
            kd.verify_answer("a", "b", function=lambda t, e: 1 // 0, **values)


if __name__ == "__main__":
    unittest.main()
