"""The examples run."""

import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class ExamplesTest(unittest.TestCase):
    def run_example(self, name, *arguments, needs=()):
        for package in needs:
            try:
                __import__(package)
            except ImportError:
                print(f"SKIPPED {name}: {package} is not installed")
                return ""
        words = [sys.executable, "-W", "error", f"{ROOT}/examples/{name}", *arguments]
        done = subprocess.run(words, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_loop(self):
        self.assertIn("agreement", self.run_example("loop.py"))

    def test_lm_distil(self):
        pages = [ROOT + "/docs/guide.md", ROOT + "/docs/decisions.md"]
        self.assertIn(
            "agreement", self.run_example("language/lm_distil.py", "train", "2", "4", *pages)
        )

    def test_course(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertIn("student, distilled", self.run_example("course/course.py", folder, "3"))
            files = folder + "/worked.jsonl", folder + "/test-teacher.jsonl", folder
            limits = "12000", "100000", "0", "2"
            self.assertIn("kept: layers", self.run_example("course/search.py", *files, *limits))

    def test_torch_student(self):
        self.run_example("torch_student.py", needs=["torch"])


if __name__ == "__main__":
    unittest.main()
