"""Where Python finds the library, and that it is the one that belongs to it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python")

with open(PACKAGE + "/kdistill/_api.py") as _file:
    _PARTS = re.findall(r"^KD_VERSION_(?:MAJOR|MINOR|PATCH) = (\d+)", _file.read(), re.M)
#: The package's own version, as kd_version gives it.
NUMBER = int(_PARTS[0]) * 10000 + int(_PARTS[1]) * 100 + int(_PARTS[2])


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

    def test_a_library_that_lacks_a_function_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            source, made = folder + "/old.c", folder + "/libkdistill.so.0"
            with open(source, "w") as file:
                file.write(f"int kd_version(void) {{ return {NUMBER}; }}\n")
            compiler = os.environ.get("CC", "cc")
            subprocess.run([compiler, "-shared", "-fPIC", source, "-o", made], check=True)
            done = run(KDISTILL_LIBRARY=made)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, f"{made} has no kd_.* build it again")

    def test_a_package_that_is_missing_is_named_with_its_remedy(self):
        for block, use, package in [
            ("numpy", "", "numpy"),
            ("torch", "import kdistill.torch", "torch"),
            ("torch", "import kdistill.hf", "torch"),
            ("sklearn", "kdistill.Distiller", "scikit-learn"),
            ("tensorboard", "kdistill.log.TensorBoard('/nowhere')", "tensorboard"),
            ("mlflow", "kdistill.log.MLflow()", "mlflow"),
            ("tqdm", "kdistill.Context(progress='tqdm')", "tqdm"),
        ]:
            with tempfile.TemporaryDirectory() as folder:
                with open(folder + f"/{block}.py", "w") as file:
                    file.write(f"raise ModuleNotFoundError('no {block} here', name='{block}')\n")
                done = run(use, folder + os.pathsep + PACKAGE)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(f"python3 -m pip install {package} (", done.stderr)

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
