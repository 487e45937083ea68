"""conan create packaging/conan: libkdistill out of this tree, with its own matrix products."""

import os
import re

from conan import ConanFile
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load


class Kdistill(ConanFile):
    """The C library."""

    name = "kdistill"
    license = "Apache-2.0"
    description = "Knowledge distillation for C and C++ programs, on CPUs"
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "fPIC": [True, False]}
    default_options = {"shared": False, "fPIC": True}
    implements = ["auto_shared_fpic"]
    languages = "C"

    def set_version(self):
        """The version that the header tells."""
        root = os.path.join(self.recipe_folder, "..", "..")
        header = load(self, os.path.join(root, "include", "kdistill", "status.h"))
        parts = re.findall(r"#define KD_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header)
        self.version = ".".join(parts)

    def export_sources(self):
        """What the build reads."""
        root = os.path.join(self.recipe_folder, "..", "..")
        for pattern in (
            *("CMakeLists.txt", "LICENSE", "src/*", "include/*", "pkgconfig/*"),
            *("lib/libkdistill.map", "examples/*"),
        ):
            copy(self, pattern, root, self.export_sources_folder)

    def layout(self):
        """CMake's usual folders."""
        cmake_layout(self)

    def generate(self):
        """Options for CMake."""
        toolchain = CMakeToolchain(self)
        for name, value in {"BLAS": "none", "ZLIB": "no", "TESTS": "OFF"}.items():
            toolchain.cache_variables["KDISTILL_" + name] = value
        toolchain.generate()

    def build(self):
        """Both libraries are built; one is packaged."""
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        """Headers, the license, and the library that was asked for."""
        CMake(self).install()
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        library = os.path.join(self.package_folder, "lib")
        for name in os.listdir(library):
            static = name.endswith(".a")
            if name.startswith("libkdistill") and static == bool(self.options.shared):
                os.remove(os.path.join(library, name))

    def package_info(self):
        """What a consumer links."""
        self.cpp_info.libs = ["kdistill"]
        self.cpp_info.set_property("cmake_file_name", "kdistill")
        self.cpp_info.set_property("cmake_target_name", "kdistill::kdistill")
        if self.settings.os != "Windows":
            self.cpp_info.system_libs = ["m", "pthread"]
