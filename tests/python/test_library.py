"""Where Python finds the library, and that it is the one that belongs to it."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python")


def run(code="print(kdistill.version())", package=PACKAGE, **environment):
    made = {**os.environ, "PYTHONPATH": package, **environment}
    words = [sys.executable, "-c", "import kdistill; " + code]
    return subprocess.run(words, env=made, capture_output=True, text=True)


class LibraryTest(unittest.TestCase):
    def test_a_library_that_is_not_there_is_told(self):
        done = run(KDISTILL_LIBRARY="/nowhere/libkdistill.so.0")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("KDISTILL_LIBRARY", done.stderr)

    def test_a_library_of_another_version_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            source, made = folder + "/old.c", folder + "/libkdistill.so.0"
            with open(source, "w") as file:
                file.write("int kd_version(void) { return 100; }\n")
            compiler = os.environ.get("CC", "cc")
            subprocess.run([compiler, "-shared", "-fPIC", source, "-o", made], check=True)
            done = run(KDISTILL_LIBRARY=made)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("is version 0.1.0", done.stderr)

    def test_the_loader_is_asked_by_name_where_no_file_is_known(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(PACKAGE + "/kdistill", folder + "/kdistill")
            library = os.environ.get("KDISTILL_LIBRARY") or PACKAGE + "/../lib/libkdistill.so.0"
            os.symlink(os.path.abspath(library), folder + "/libkdistill.so.0")
            values = {"KDISTILL_LIBRARY": "", "LD_LIBRARY_PATH": folder}
            done = run("print(kdistill.library_path())", folder, **values)
        self.assertEqual(done.stdout.strip(), "libkdistill.so.0", done.stderr)

    def test_importing_warns_of_nothing(self):
        words = [sys.executable, "-W", "error", "-c", "import kdistill"]
        done = subprocess.run(words, env={**os.environ, "PYTHONPATH": PACKAGE}, text=True)
        self.assertEqual(done.returncode, 0)


if __name__ == "__main__":
    unittest.main()
