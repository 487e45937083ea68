"""What a package tells of itself to those who build C programs with it."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python")


def ask(package, *options):
    words = [sys.executable, "-m", "kdistill.config", *options]
    made = {**os.environ, "PYTHONPATH": package}
    return subprocess.run(words, env=made, capture_output=True, text=True)


class ConfigTest(unittest.TestCase):
    def test_a_program_is_built_with_what_a_wheel_tells(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(PACKAGE + "/kdistill", folder + "/kdistill")
            shutil.copytree(PACKAGE + "/../include", folder + "/kdistill/include")
            source, program = folder + "/a.c", folder + "/a"
            with open(source, "w") as file:
                file.write("#include <kdistill.h>\nint main(void) { return kd_version() <= 0; }\n")
            told = ask(folder, "--cflags", "--libs")
            self.assertEqual(told.returncode, 0, told.stderr)
            words = [os.environ.get("CC", "cc"), source, "-o", program, *shlex.split(told.stdout)]
            subprocess.run(words, check=True)
            subprocess.run([program], check=True)
            ends = {"--cmake-dir": "cmake/kdistill", "--pkg-config-dir": "pkgconfig"}
            for option, end in ends.items():
                self.assertEqual(ask(folder, option).stdout, f"{folder}/kdistill/lib/{end}\n")

    def test_a_package_without_headers_says_so(self):
        told = ask(PACKAGE, "--cflags")
        self.assertNotEqual(told.returncode, 0)
        self.assertIn("pkg-config kdistill", told.stderr)

    def test_a_question_is_expected(self):
        told = ask(PACKAGE)
        self.assertNotEqual(told.returncode, 0)
        self.assertIn("--library", told.stderr)

    def test_the_library_is_the_one_that_is_loaded(self):
        import kdistill

        self.assertEqual(ask(PACKAGE, "--library").stdout.strip(), kdistill.library_path())


if __name__ == "__main__":
    unittest.main()
