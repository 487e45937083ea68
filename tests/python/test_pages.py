"""Programs that the pages print: README's and the guide's compile, run, and print what the page
says they print, but for the digits. They run in one folder, in the order in which they are read."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
PAGES = (
    "README.md",
    *(
        f"docs/guide{part}.md"
        for part in (
            "",
            "-audio",
            "-features",
            "-images",
            "-tasks",
            "-balance",
            "-language",
            "-course",
            "-measure",
        )
    ),
    "docs/multimodal.md",
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
MODEL = os.path.join(os.environ.get("KD_DATA", ""), "tinystories-656k")


def programs(page):
    """The whole programs of a page, each with its language and what it is said to print."""
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        text = file.read()
    blocks = list(BLOCK.finditer(text))
    for block, after in zip(blocks, [*blocks[1:], None]):
        language, code = block.groups()
        if (language == "c" and "int main(" in code) or language == "python":
            yield language, code, after.group(2) if after and not after.group(1) else ""


def printed(text):
    """Output without its digits; of a session at a prompt the last command's output."""
    return re.sub(r"\d", "0", re.split(r"^\$ .*\n", text, flags=re.M)[-1]).split()


class PagesTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.library = os.environ.get("KDISTILL_LIBRARY") or f"{ROOT}/lib/libkdistill.so.0"
        os.symlink(f"{ROOT}/examples", os.path.join(self.folder, "examples"))
        if os.path.isdir(MODEL):
            os.symlink(MODEL, os.path.join(self.folder, "model-folder"))

    def run_words(self, words, **environment):
        done = subprocess.run(
            words,
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def run_c(self, code):
        with open(os.path.join(self.folder, "program.c"), "w", encoding="utf-8") as file:
            file.write(code)
        warnings = "-std=c11", "-Wall", "-Wextra", "-Werror"
        link = f"-I{ROOT}/include", self.library, "-lm"
        compiler = os.environ.get("CC", "cc").split()
        self.run_words([*compiler, *warnings, "program.c", "-o", "program", *link])
        return self.run_words(["./program"], LD_LIBRARY_PATH=os.path.dirname(self.library))

    def run_python(self, code):
        paths = {"PYTHONPATH": f"{ROOT}/python", "KDISTILL_LIBRARY": self.library}
        return self.run_words([sys.executable, "-W", "error", "-c", code], **paths)

    def test_programs_print_what_the_pages_say(self):
        run = {"c": self.run_c, "python": self.run_python}
        for page in PAGES:
            for number, (language, code, expected) in enumerate(programs(page), 1):
                with self.subTest(page=page, program=number):
                    if "model-folder" in code and not os.path.isdir(MODEL):
                        print(f"SKIPPED {page}, program {number}: KD_DATA has no model")
                        continue
                    output = run[language](code)
                    if expected:
                        self.assertEqual(printed(output), printed(expected))

    def test_every_page_but_the_course_has_a_program(self):
        for page in PAGES:
            self.assertEqual(bool(list(programs(page))), page != "docs/guide-course.md", page)

    def test_all_pages_of_the_guide_are_tried(self):
        guides = {os.path.relpath(path, ROOT) for path in glob.glob(f"{ROOT}/docs/guide*.md")}
        self.assertEqual(guides, {page for page in PAGES if page.startswith("docs/guide")})


if __name__ == "__main__":
    unittest.main()
