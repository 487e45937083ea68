"""A program built against the package learns."""

import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, cmake_layout
from conan.tools.files import copy


class Outside(ConanFile):
    """examples/loop.c as an outside program."""

    settings = "os", "arch", "compiler", "build_type"
    generators = "CMakeDeps", "CMakeToolchain"

    def requirements(self):
        """The package under test."""
        self.requires(self.tested_reference_str)

    def layout(self):
        """CMake's usual folders."""
        cmake_layout(self)

    def build(self):
        """Builds the example."""
        examples = os.path.join(self.recipe_folder, "..", "..", "..", "examples")
        for name in ("loop.c", "check.h"):
            copy(self, name, examples, self.build_folder)
        cmake = CMake(self)
        cmake.configure(variables={"EXAMPLES": self.build_folder})
        cmake.build()

    def test(self):
        """Runs it."""
        if can_run(self):
            self.run(os.path.join(self.cpp.build.bindir, "outside"), env="conanrun")
