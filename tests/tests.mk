# Gates. `make check` is the quick tier; CI calls the others as well (.ci/run). tests/gates/break.sh breaks a copy of the tree once for
# each gate and expects it to turn red.
CHECK_FLAGS = $(shell $(PKG_CONFIG) --cflags check)
CHECK_LIBS = $(shell $(PKG_CONFIG) --libs check)
# Frames and times are larger under sanitizers and without optimization: tests of stacks and times bound them less there.
TEST_CFLAGS = -std=gnu11 -Wall -Wextra -g -O1 -Iinclude $(if $(SANITIZE),-DKD_TEST_LOOSE)
LINK = -L$(LIB) -Wl,-rpath,$(abspath $(LIB)) -lkdistill
# SCRATCH_ROOT: a folder in memory spares the waits of a thousand fsyncs; without it they are real.
SCRATCH = $(abspath $(or $(SCRATCH_ROOT),.)/$(BUILD)/tests/scratch)
TEST_ENV = KD_OLD_FILES=$(abspath tests/old) KD_TEST_DIR=$(SCRATCH)
$(SCRATCH):
	@mkdir -p $@


.PHONY: check check-c check-beside built unit internal check-headers check-symbols check-abi check-layers check-names check-words check-room check-core check-install check-threads check-kill-course check-oom check-dlopen check-examples check-command \
	check-python check-asan check-tsan check-valgrind check-blas check-faults check-kill check-mpi check-long check-arm64 check-musl check-gates check-dist check-pages nightly fuzz-smoke fuzz-long fuzz-corpus coverage style check-python-style \
	record-symbols record-abi

# Two lanes: the tests of Python and what runs in programs of its own beside everything else.
check: built
	@$(MAKE) --no-print-directory check-beside > $(BUILD)/tests/beside.log 2>&1 & beside=$$!; \
	status=0; $(MAKE) --no-print-directory check-c || status=1; \
	wait $$beside || status=1; cat $(BUILD)/tests/beside.log; exit $$status

check-c: unit internal check-headers check-names check-words check-room check-symbols check-abi check-layers check-core check-threads check-oom check-dlopen check-faults check-kill fuzz-corpus

check-beside: check-python check-command check-kill-course check-examples

# ---- suites ----
# tests/unit mirrors src: a test lies in the folder of what it tests. The files are compiled one by
# one: a change of the library links them again, no more.
SUITE_OBJECTS = $(patsubst tests/%.c,$(BUILD)/tests/obj/%.o,$(wildcard tests/$(1)/*.c tests/$(1)/*/*.c))
UNIT := $(call SUITE_OBJECTS,unit)
INTERNAL := $(call SUITE_OBJECTS,internal)
$(UNIT): SUITE_FLAGS := -Itests -Itests/unit
$(INTERNAL): SUITE_FLAGS := -Itests -Isrc
$(BUILD)/tests/obj/%.o: tests/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) $(SUITE_FLAGS) $(ZLIB_FLAGS) $(SANITIZE) $(CHECK_FLAGS) -MMD -MP -c $< -o $@
-include $(UNIT:.o=.d) $(INTERNAL:.o=.d)

$(BUILD)/tests/unit: $(UNIT) $(SHARED)
	@mkdir -p $(SCRATCH)
	$(CC) $(SANITIZE) $(UNIT) -o $@ $(LINK) $(CHECK_LIBS) -lm -pthread

# Internals (parsers, kernels, keys): linked with the objects, because the library hides them.
$(BUILD)/tests/internal: $(INTERNAL) $(OBJECTS)
	@mkdir -p $(SCRATCH)
	$(CC) $(SANITIZE) $(INTERNAL) $(OBJECTS) -o $@ $(CHECK_LIBS) $(LIBS)

# What the gates run, compiled on every core; the gates themselves run one after another.
JOBS ?= $(shell nproc)
built:
	@$(MAKE) --no-print-directory -j$(JOBS) all $(addprefix $(BUILD)/tests/,unit internal threads oom)

unit: $(BUILD)/tests/unit | $(SCRATCH)
	$(TEST_ENV) $(RUNNER) $<

internal: $(BUILD)/tests/internal | $(SCRATCH)
	$(TEST_ENV) $(RUNNER) $<

# ---- promises of the interface ----
check-headers:
	sh tests/gates/headers.sh

check-symbols: all
	sh tests/gates/symbols.sh $(SHARED) $(STATIC)

check-abi: all
	CC=$(CC) sh tests/gates/abi.sh $(LIB) $(VERSION) $(SOVERSION)

check-layers:
	$(PYTHON) tests/gates/layers.py

check-names:
	$(PYTHON) tests/gates/names.py

check-words:
	$(PYTHON) tests/gates/words.py

# What docs/room.md promises compiles.
check-room:
	$(PYTHON) tests/gates/room.py $(CC)

# The core stands alone: these folders link without language, course and measure, and a loop runs with them.
CORE := $(filter $(addprefix $(BUILD)/obj/,base/% formats/% math/% nn/% core/%),$(OBJECTS))
check-core: $(CORE) examples/loop.c tests/gates/core_engines.c
	@mkdir -p $(BUILD)/core
	$(CC) $(ALL_CFLAGS) $(SANITIZE) -c tests/gates/core_engines.c -o $(BUILD)/core/engines.o
	$(CC) -shared $(CFLAGS) $(LDFLAGS) $(SANITIZE) -Wl,-z,defs -o $(BUILD)/core/libkdistill-core.so $(CORE) $(BUILD)/core/engines.o $(LIBS)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) examples/loop.c $(CORE) $(BUILD)/core/engines.o -o $(BUILD)/core/loop $(LIBS)
	$(BUILD)/core/loop > /dev/null
	@echo "core: $(words $(CORE)) objects link without the wings, and a loop runs"

check-install: all
	sh tests/gates/install.sh CC=$(CC) BLAS=$(BLAS) BUILD=$(BUILD) LIB=$(LIB)

# Names and ABI are recorded on purpose only; a break needs a line with the reason in CHANGELOG.md.
record-symbols:
	$(PYTHON) lib/symbols.py --new $(basename $(VERSION)) > $(BUILD)/names && mv $(BUILD)/names lib/symbols-$(basename $(VERSION)).txt
	$(PYTHON) lib/symbols.py --map > lib/libkdistill.map

record-abi: all
	@rm -rf lib/abi/$(VERSION)
	@mkdir -p lib/abi/$(VERSION)
	cp -r include lib/abi/$(VERSION)/
	cat examples/check.h examples/loop.c | grep -v '#include "check.h"' > lib/abi/$(VERSION)/loop.c
	abidw --headers-dir include --exported-interfaces-only --no-corpus-path --no-comp-dir-path $(SHARED) | sed 's|$(CURDIR)|.|g' > lib/abi/$(VERSION)/libkdistill.abi
	@sh tests/gates/abi.sh --recorded $(VERSION)

# ---- behavior under stress ----
$(BUILD)/tests/%: tests/gates/%.c tests/unit/run.h tests/gates/storekit.h $(wildcard tests/gates/use_*.h) $(SHARED)
	@mkdir -p $(SCRATCH)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) $< -o $@ $(LINK) -lm -ldl -pthread

check-threads: $(BUILD)/tests/threads
	$<

check-oom: $(BUILD)/tests/oom | $(SCRATCH)
	$< $(SCRATCH)

check-dlopen: $(BUILD)/tests/dlopen
	$< $(abspath $(SHARED))

# The command with allocations that fail.
COMMAND_TRIALS ?= 120
$(BUILD)/tests/kdistill-oom: tests/gates/command_oom.c $(TOOL_OBJECTS) $(OBJECTS)
	@mkdir -p $(SCRATCH)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) $< $(TOOL_OBJECTS) $(OBJECTS) -o $@ -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc $(LIBS)

check-command: $(BUILD)/tests/kdistill-oom
	$(PYTHON) tests/gates/command_oom.py $< $(SCRATCH)/command $(COMMAND_TRIALS)

# Every write, fsync, close, rename and open of saving fails in turn (the linker puts the faults in between).
WRAP := -Wl,--wrap=write,--wrap=fsync,--wrap=rename,--wrap=close,--wrap=open,--wrap=read
$(BUILD)/tests/faults: tests/gates/faults.c tests/unit/run.h $(OBJECTS)
	@mkdir -p $(SCRATCH)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) $< $(OBJECTS) -o $@ $(WRAP) $(LIBS)

STORE_WRAP := -Wl,--wrap=write,--wrap=fsync,--wrap=ftruncate,--wrap=pread,--wrap=open,--wrap=flock
$(BUILD)/tests/store_faults: tests/gates/store_faults.c tests/gates/storekit.h $(OBJECTS)
	@mkdir -p $(SCRATCH)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) $< $(OBJECTS) -o $@ $(STORE_WRAP) $(LIBS)

check-faults: $(BUILD)/tests/faults $(BUILD)/tests/store_faults | $(SCRATCH)
	$(BUILD)/tests/faults $(SCRATCH)
	$(BUILD)/tests/store_faults $(SCRATCH)

# A writer of a store killed at random moments.
KILLS ?= 20
# Workers of one folder of answers, one of them killed.
check-kill: $(BUILD)/tests/kill $(BUILD)/tests/kill_writers $(BUILD)/tests/kill_answers | $(SCRATCH)
	$< $(SCRATCH) $(KILLS)
	$(BUILD)/tests/kill_writers $(SCRATCH) $(KILLS)
	$(BUILD)/tests/kill_answers $(SCRATCH) $(shell expr $(KILLS) / 4)

# Writers of one folder, one of them killed; every second time without locks.
$(BUILD)/tests/kill_writers: tests/gates/kill_writers.c tests/gates/storekit.h $(OBJECTS)
	@mkdir -p $(SCRATCH)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) $< $(OBJECTS) -o $@ -Wl,--wrap=flock $(LIBS)

# The course in miniature, killed at random moments.
COURSE_KILLS ?= 5
check-kill-course: $(BUILD)/examples/course | $(SCRATCH)
	sh tests/gates/kill_course.sh $< $(SCRATCH) $(COURSE_KILLS)

# EVERY=3: of the suites of check-valgrind, check-arm64, check-tsan and check-asan, of the scripts of
# check-long and of the breaks of check-gates a third, chosen by the commit.
EVERY ?= 1
TURN = $(shell sh tests/gates/turn.sh $(EVERY))

# The long tier: what takes minutes. PYTHON needs PyTorch. LONG=ci: a minute a script at most.
LONG ?= full
long = $(if $(filter ci,$(LONG)),$(1),$(2))
CASES ?= $(call long,1000,4000)
STRINGS ?= $(call long,5000,100000)
PAIRS ?= $(call long,4000,20000)
TEMPLATES ?= $(call long,2000,20000)
RECORDS ?= $(call long,5000,20000)
TRIALS ?= $(call long,100,400)
check-long: all $(BUILD)/examples/course | $(SCRATCH)
	$(MAKE) --no-print-directory check-kill KILLS=$(call long,100,200)
	$(MAKE) --no-print-directory check-kill-course COURSE_KILLS=$(call long,10,50)
	test -z "$(KD_DATA)" || { rm -rf $(SCRATCH)/brief; $(BUILD)/examples/course $(SCRATCH)/brief 1 2 brief > $(SCRATCH)/brief.log 2>&1 || { tail $(SCRATCH)/brief.log; exit 1; }; }
	test -z "$$KD_MINILM" -o -z "$$KD_DATA" || KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) examples/features/other_language.py $$KD_MINILM $$KD_DATA $(SCRATCH)/features.json 1 4 200
	$(foreach script,$(shell sh tests/gates/turn.sh $(EVERY) $(LONG_SCRIPTS)),$(call timed,$(script)) &&) true

# Each script with its count; what has none runs whole.
LONG_SCRIPTS = losses.py:$(CASES) features.py:$(CASES) pair_terms.py:$(CASES) \
	stores.py:$(RECORDS) near.py:$(CASES) muon.py public.py decoders.py layer_outputs.py \
	encoders.py:$(call long,40,200) image_models.py:$(call long,45,200) \
	towers.py:$(call long,20,200) encoder_students.py:$(call long,10,100) \
	heads.py:$(call long,12,100) sentence_folders.py real_models.py \
	folder_configs.py:$(call long,40,100) head_rows.py:$(CASES) gguf_files.py \
	gguf_round.py:$(call long,100,400) adapters.py:$(call long,10,60) tails.py arrays.py:$(CASES) records.py:$(CASES) \
	scripts.py:$(call long,120,300) chat_templates.py block_formats.py:$(call long,300,1000) \
	gguf_formats.py template_engine.py:$(TEMPLATES) verdicts.py mathematics.py verdicts_beside.py \
	text_metrics.py retrieval_metrics.py:$(CASES) runs.py:$(TRIALS) tokenizers_equal.py:$(STRINGS) \
	wordpiece_equal.py:$(STRINGS) tokenizer_forms.py:$(PAIRS) json_equal.py:$(CASES) \
	static_embeddings.py image_networks.py:$(call long,30,200) \
	image_front.py:$(call long,100,300) audio.py:$(call long,20,100)
timed = began=$$(date +%s) && $(PYTHON) tests/property/$(subst :, ,$(1)) && echo "    $(1): $$(($$(date +%s) - began)) s"

# Ranks as processes of the MPIs that are installed, of mpi4py and of torch: MPI_BIN, PYTHON.
check-mpi: all | $(SCRATCH)
	PYTHON=$(PYTHON) sh tests/gates/mpi.sh $(LIB) $(BUILD) $(SCRATCH)

# ---- examples: each is run ----
define EXAMPLES_OF
$(BUILD)/examples/%: examples/$(1)%.c $(wildcard examples/$(1)*.h) examples/check.h $(SHARED)
	@mkdir -p $$(@D)
	$$(CC) -std=gnu11 -O2 -Wall -Wextra -Iinclude $$(SANITIZE) $$< -o $$@ $$(LINK) -lm
endef
$(foreach folder,./ store/ language/ server/ demo/,$(eval $(call EXAMPLES_OF,$(folder))))

$(BUILD)/examples/distil: examples/distil.cpp $(SHARED)
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -O2 -Wall -Wextra -Wpedantic -Iinclude $(SANITIZE) $< -o $@ $(LINK)

check-examples: $(addprefix $(BUILD)/examples/,loop own_model distil hinton store_write store_read lm_distil lm_chat lm_finetune course server_answers) $(TOOL) | $(SCRATCH)
	for example in loop own_model distil; do $(BUILD)/examples/$$example || exit 1; done
	rm -f $(BUILD)/examples/teacher.kdt
	$(BUILD)/examples/store_write $(BUILD)/examples/teacher.kdt
	$(BUILD)/examples/store_read $(BUILD)/examples/teacher.kdt
	KD_STORE=$(BUILD)/examples/lm_distil.kdt $(BUILD)/examples/lm_distil train 2 12 docs/*.md
	test -z "$$KD_DATA" || KD_STORE=$(BUILD)/examples/stories.kdt $(BUILD)/examples/lm_distil $$KD_DATA/tinystories-656k 1 4 stories:80
	test -z "$$KD_DATA" || KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) examples/language/other_tokenizer.py $$KD_DATA/tinystories-656k 40
	test -z "$$KD_DATA" || KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) examples/features/language_models.py $$KD_DATA/tinystories-656k $$KD_DATA $(SCRATCH)/features.json 1 0.02
	$(BUILD)/kdistill-store stats $(BUILD)/examples/teacher.kdt
	test -e $(SCRATCH)/whole/worked-1/config.json || $(BUILD)/examples/course $(SCRATCH)/whole 1 4 small > $(SCRATCH)/whole.log 2>&1
	grep -q 'over questions only, one training run' $(SCRATCH)/whole/report.txt
	$(BUILD)/examples/server_answers examples/server/server.jsonl $(SCRATCH)/whole/worked-1 $(BUILD)/examples/served 20
	KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) examples/course/on_policy.py $(SCRATCH)/whole 2

PYTHON_TESTS ?= test*.py
check-python: all
	KDISTILL_LIBRARY=$(abspath $(SHARED)) PYTHONPATH=python $(PYTHON) -m unittest discover -s tests/python -t tests/python -p '$(PYTHON_TESTS)'
	KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) tests/property/stores.py 1000

# ---- sanitizers and valgrind: the suites without fork, and the run of the gates ----
SUITES = unit internal check-threads
# One process; its log names each test as it ends.
NOFORK = CK_FORK=no CK_TAP_LOG_FILE_NAME=-
VARIANT = $(MAKE) --no-print-directory BUILD=build/$(1) LIB=build/$(1)/lib CFLAGS="-O1 -g1 -fno-omit-frame-pointer $(2)" SANITIZE="$(2)"

# Address and undefined behavior in one build: neither hides what the other looks for.
check-asan:
	$(NOFORK) KD_TEST_TURN=$(TURN) ASAN_OPTIONS=detect_leaks=1 $(call VARIANT,asan,-fsanitize=address$(comma)undefined -fno-sanitize-recover=all) built $(SUITES) check-oom fuzz-corpus

check-tsan:
	$(NOFORK) KD_TEST_TURN=$(TURN) KD_TEST_FEW=1 TSAN_OPTIONS="die_after_fork=0 halt_on_error=1" $(call VARIANT,tsan,-fsanitize=thread) built unit check-threads

# valgrind tells the library and BLAS of a processor without AVX-512. It runs one thread at a time:
# with fair-sched none that waits for another keeps that one from running. build/tests/valgrind-*.xml has the time of each test.
VALGRIND = valgrind -q --error-exitcode=9 --fair-sched=yes --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite
# Tests with a tag of LEFT_OUT are for the night: those that last where a processor is emulated.
LEFT_OUT ?= slow
check-valgrind: $(BUILD)/tests/unit $(BUILD)/tests/internal
	@mkdir -p $(SCRATCH)/valgrind
	for suite in unit internal; do \
		env $(NOFORK) CK_EXCLUDE_TAGS="$(LEFT_OUT)" KD_TEST_TURN=$(TURN) KD_TEST_FEW=1 \
		CK_XML_LOG_FILE_NAME=$(BUILD)/tests/valgrind-$$suite.xml OPENBLAS_NUM_THREADS=1 \
		$(TEST_ENV) KD_TEST_DIR=$(SCRATCH)/valgrind KD_DATA= \
		$(VALGRIND) $(BUILD)/tests/$$suite || exit 1; \
	done

BLASES ?= blis none
check-blas:
	for blas in $(BLASES); do \
		$(MAKE) --no-print-directory BLAS=$$blas BUILD=build/$$blas LIB=build/$$blas/lib \
		built unit internal check-threads || exit 1; \
	done

# CLANG=none: without BLAS as well, one run for both.
CLANG ?= $(BLAS)
check-clang:
	KD_TEST_TURN=$(TURN) $(MAKE) --no-print-directory CC=clang CXX=clang++ BLAS=$(CLANG) BUILD=build/clang LIB=build/clang/lib built unit internal check-symbols

check-arm64:
	CK_EXCLUDE_TAGS="$(LEFT_OUT)" KD_TEST_TURN=$(TURN) sh tests/gates/arm64.sh

check-musl:
	MAKE="$(MAKE)" sh tests/gates/musl.sh

SEEN_GREEN ?=
check-gates:
	SEEN_GREEN=$(SEEN_GREEN) EVERY=$(EVERY) PYTHON=$(PYTHON) sh tests/gates/break.sh $(BREAKS)

check-dist: dist
	ANYWAY=$(ANYWAY) sh tests/gates/dist.sh $(ARCHIVE)

# What need not run for every change, at full counts: a night's work, and that of a release.
nightly: check check-long check-asan check-tsan check-valgrind check-blas check-clang check-musl coverage
	$(MAKE) --no-print-directory fuzz-smoke FUZZ_SECONDS=3600
	$(MAKE) --no-print-directory check-gates
	$(MAKE) --no-print-directory check-dist

# ---- fuzzing ----
FUZZ = tests/fuzz/fuzz.c tests/fuzz/chats.c tests/fuzz/pixels.c
FUZZ_SECONDS ?= 60
fuzz-corpus: $(FUZZ) $(wildcard tests/fuzz/*.h) $(OBJECTS)
	@mkdir -p $(BUILD)/tests
	$(CC) $(TEST_CFLAGS) -DFUZZ_ALONE $(SANITIZE) -D_GNU_SOURCE -Isrc $(FUZZ) $(OBJECTS) -o $(BUILD)/tests/fuzz-corpus $(LIBS)
	$(BUILD)/tests/fuzz-corpus tests/fuzz/corpus/*

fuzz-smoke:
	$(MAKE) --no-print-directory CC=clang BUILD=build/fuzz LIB=build/fuzz/lib CFLAGS="-O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all" fuzz-program
	@mkdir -p build/fuzz/corpus
	build/fuzz/fuzz -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=4096 -malloc_limit_mb=2048 -print_final_stats=1 -artifact_prefix=build/fuzz/ build/fuzz/corpus tests/fuzz/corpus > build/fuzz/log 2>&1; status=$$?; tail -n 12 build/fuzz/log; exit $$status

# One kind of file alone, FUZZ_RUNS executions: make fuzz-long KIND=6 (tests/fuzz/fuzz.c says which kinds there are).
FUZZ_RUNS ?= 10000000
fuzz-long:
	$(MAKE) --no-print-directory CC=clang BUILD=build/fuzz LIB=build/fuzz/lib CFLAGS="-O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all" fuzz-program
	@mkdir -p build/fuzz/corpus-$(KIND)
	KD_FUZZ_KIND=$(KIND) build/fuzz/fuzz $(if $(filter 14,$(KIND)),-dict=tests/fuzz/records.dict) -runs=$(FUZZ_RUNS) -timeout=10 -rss_limit_mb=4096 -malloc_limit_mb=2048 -print_final_stats=1 -artifact_prefix=build/fuzz/kind-$(KIND)- build/fuzz/corpus-$(KIND) tests/fuzz/corpus > build/fuzz/log-$(KIND) 2>&1; status=$$?; tail -n 12 build/fuzz/log-$(KIND); exit $$status

fuzz-program: $(OBJECTS)
	clang $(CFLAGS) -fsanitize=fuzzer -D_GNU_SOURCE -std=gnu11 -Iinclude -Isrc $(FUZZ) $(OBJECTS) -o $(BUILD)/fuzz $(LIBS)

# ---- style and coverage ----
# COVERED=blis: with BLIS as well, one run for both.
COVERED ?= $(BLAS)
# Searches of blocks, counted line by line, take minutes: the other tests of them reach the same lines.
coverage:
	CK_FORK=no CK_EXCLUDE_TAGS=search $(MAKE) --no-print-directory BLAS=$(COVERED) BUILD=build/coverage LIB=build/coverage/lib CFLAGS="-O1 -g --coverage" SANITIZE=--coverage built unit internal check-oom check-threads check-faults
	gcovr -r . --object-directory build/coverage/obj --filter src/ --fail-under-line 90 --print-summary -o build/coverage/report.txt
	@tail -n 4 build/coverage/report.txt

# Links lead somewhere, and the drawing of the floors is this tree's.
check-pages:
	$(PYTHON) tests/gates/pages.py
	$(PYTHON) docs/architecture.py --check

style: check-pages
	clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h' '*.cpp' | grep -v -e goldens.h -e lib/abi)
	$(PYTHON) tests/gates/style.py
	$(PYTHON) tests/gates/words.py
	$(MAKE) --no-print-directory check-python-style
	$(MAKE) --no-print-directory check-gates EVERY=0

# The package by all rules of python/pyproject.toml and by mypy; what else is Python by the formatter and by length.
RUFF ?= $(or $(wildcard $(PEERS)/bin/ruff),ruff)
MYPY ?= $(or $(wildcard $(PEERS)/bin/mypy),mypy)
SCRIPTS = bench examples lib packaging tests/fuzz tests/gates tests/goldens tests/property
check-python-style:
	$(RUFF) check --config python/pyproject.toml python tests/python
	$(RUFF) check --config python/scripts.toml $(SCRIPTS)
	$(RUFF) format --check --config python/pyproject.toml python tests/python $(SCRIPTS)
	cd python && $(abspath $(MYPY)) kdistill generate.py headers.py reference.py tables.py
	$(PYTHON) tests/gates/script_names.py $(MYPY) bench/*.py examples/*.py examples/*/*.py
