# Gates. `make check` is the quick tier; CI calls the others as well (.ci/run). tests/gates/break.sh breaks a copy of the tree once for
# each gate and expects it to turn red.
CHECK_FLAGS = $(shell $(PKG_CONFIG) --cflags check)
CHECK_LIBS = $(shell $(PKG_CONFIG) --libs check)
TEST_CFLAGS := -std=gnu11 -Wall -Wextra -g -O1 -Iinclude
LINK = -L$(LIB) -Wl,-rpath,$(abspath $(LIB)) -lkdistill
SCRATCH = $(abspath $(BUILD)/tests/scratch)
TEST_ENV = KD_OLD_FILES=$(abspath tests/old) KD_TEST_DIR=$(SCRATCH)

.PHONY: check unit internal check-headers check-symbols check-abi check-layers check-install check-threads check-kill-course check-oom check-dlopen check-examples \
	check-python check-asan check-ubsan check-tsan check-valgrind check-blas check-faults check-kill check-long check-arm64 check-gates fuzz-smoke fuzz-long fuzz-corpus coverage style \
	record-symbols record-abi

check: unit internal check-headers check-symbols check-abi check-layers check-threads check-oom check-dlopen check-faults check-kill check-kill-course fuzz-corpus check-examples check-python

# ---- suites ----
$(BUILD)/tests/unit: $(wildcard tests/unit/*.c tests/unit/*.h) tests/goldens/goldens.h $(SHARED)
	@mkdir -p $(SCRATCH)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) $(CHECK_FLAGS) tests/unit/*.c -o $@ $(LINK) $(CHECK_LIBS) -lm -pthread

# Internals (parsers, kernels, keys): linked with the objects, because the library hides them.
$(BUILD)/tests/internal: tests/internal/internal.c $(OBJECTS)
	@mkdir -p $(SCRATCH)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) -Isrc $(CHECK_FLAGS) $< $(OBJECTS) -o $@ $(CHECK_LIBS) $(LIBS)

unit: $(BUILD)/tests/unit
	$(TEST_ENV) $(RUNNER) $<

internal: $(BUILD)/tests/internal
	$(TEST_ENV) $(RUNNER) $<

# ---- promises of the interface ----
check-headers:
	sh tests/gates/headers.sh

check-symbols: all
	sh tests/gates/symbols.sh $(SHARED) $(STATIC)

check-abi: all
	CC=$(CC) sh tests/gates/abi.sh $(LIB)

check-layers:
	$(PYTHON) tests/gates/layers.py

check-install: all
	sh tests/gates/install.sh CC=$(CC) BLAS=$(BLAS) BUILD=$(BUILD) LIB=$(LIB)

# Names and ABI are recorded on purpose only; a break needs a line with the reason in CHANGELOG.md.
record-symbols:
	$(PYTHON) lib/symbols.py > lib/symbols-$(basename $(VERSION)).txt
	$(PYTHON) lib/symbols.py --map > lib/libkdistill.map

record-abi: all
	rm -rf lib/abi/$(VERSION)
	mkdir -p lib/abi/$(VERSION)
	cp -r include lib/abi/$(VERSION)/
	cat examples/check.h examples/loop.c | grep -v '#include "check.h"' > lib/abi/$(VERSION)/loop.c
	abidw --headers-dir include $(SHARED) | sed 's|$(CURDIR)|.|g' > lib/abi/$(VERSION)/libkdistill.abi

# ---- behaviour under stress ----
$(BUILD)/tests/%: tests/gates/%.c tests/unit/run.h tests/gates/storekit.h $(SHARED)
	@mkdir -p $(SCRATCH)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) $< -o $@ $(LINK) -lm -ldl -pthread

check-threads: $(BUILD)/tests/threads
	$<

check-oom: $(BUILD)/tests/oom
	$< $(SCRATCH)

check-dlopen: $(BUILD)/tests/dlopen
	$< $(abspath $(SHARED))

# Every write, fsync, close, rename and open of saving fails in turn (the linker puts the faults in between).
WRAP := -Wl,--wrap=write,--wrap=fsync,--wrap=rename,--wrap=close,--wrap=open,--wrap=read
$(BUILD)/tests/faults: tests/gates/faults.c tests/unit/run.h $(OBJECTS)
	@mkdir -p $(SCRATCH)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) $< $(OBJECTS) -o $@ $(WRAP) $(LIBS)

STORE_WRAP := -Wl,--wrap=write,--wrap=fsync,--wrap=ftruncate,--wrap=pread,--wrap=open
$(BUILD)/tests/store_faults: tests/gates/store_faults.c tests/gates/storekit.h $(OBJECTS)
	@mkdir -p $(SCRATCH)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) $< $(OBJECTS) -o $@ $(STORE_WRAP) $(LIBS)

check-faults: $(BUILD)/tests/faults $(BUILD)/tests/store_faults
	$(BUILD)/tests/faults $(SCRATCH)
	$(BUILD)/tests/store_faults $(SCRATCH)

# A writer of a store killed at random moments.
KILLS ?= 20
check-kill: $(BUILD)/tests/kill
	$< $(SCRATCH) $(KILLS)

# The course in miniature, killed at random moments.
COURSE_KILLS ?= 5
check-kill-course: $(BUILD)/examples/course
	sh tests/gates/kill_course.sh $< $(SCRATCH) $(COURSE_KILLS)

# The long tier: what takes minutes. PYTHON needs PyTorch.
CASES ?= 4000
STRINGS ?= 100000
check-long: all $(BUILD)/examples/course
	$(MAKE) --no-print-directory check-kill KILLS=200
	$(MAKE) --no-print-directory check-kill-course COURSE_KILLS=50
	test -z "$(KD_DATA)" || { rm -rf $(SCRATCH)/brief; $(BUILD)/examples/course $(SCRATCH)/brief 1 2 brief > $(SCRATCH)/brief.log 2>&1 || { tail $(SCRATCH)/brief.log; exit 1; }; }
	$(PYTHON) tests/property/losses.py $(CASES)
	$(PYTHON) tests/property/public.py
	$(PYTHON) tests/property/decoders.py
	$(PYTHON) tests/property/real_models.py
	$(PYTHON) tests/property/gguf_files.py
	$(PYTHON) tests/property/verdicts.py
	$(PYTHON) tests/property/mathematics.py
	$(PYTHON) tests/property/text_metrics.py
	$(PYTHON) tests/property/tokenizers_equal.py $(STRINGS)

# ---- examples: each is run ----
$(BUILD)/examples/%: examples/%.c examples/check.h examples/store_data.h $(SHARED)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Wextra -Iinclude $(SANITIZE) $< -o $@ $(LINK) -lm

$(BUILD)/examples/distil: examples/distil.cpp $(SHARED)
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -O2 -Wall -Wextra -Wpedantic -Iinclude $(SANITIZE) $< -o $@ $(LINK)

check-examples: $(addprefix $(BUILD)/examples/,loop own_model distil hinton store_write store_read lm_distil lm_chat lm_finetune course server_answers) $(TOOL)
	for example in loop own_model distil; do $(BUILD)/examples/$$example || exit 1; done
	rm -f $(BUILD)/examples/teacher.kdt
	$(BUILD)/examples/store_write $(BUILD)/examples/teacher.kdt
	$(BUILD)/examples/store_read $(BUILD)/examples/teacher.kdt
	KD_STORE=$(BUILD)/examples/lm_distil.kdt $(BUILD)/examples/lm_distil train 2 12 docs/*.md
	test -z "$$KD_DATA" || KD_STORE=$(BUILD)/examples/stories.kdt $(BUILD)/examples/lm_distil $$KD_DATA/tinystories-656k 1 4 stories:60
	$(TOOL) stats $(BUILD)/examples/teacher.kdt
	test -e $(SCRATCH)/whole/worked-1/config.json || $(BUILD)/examples/course $(SCRATCH)/whole 1 4 small > $(SCRATCH)/whole.log 2>&1
	$(BUILD)/examples/server_answers examples/server.jsonl $(SCRATCH)/whole/worked-1 $(BUILD)/examples/served 20
	KDISTILL_LIBRARY=$(abspath $(SHARED)) $(PYTHON) examples/on_policy.py $(SCRATCH)/whole 2

check-python: all
	KDISTILL_LIBRARY=$(abspath $(SHARED)) PYTHONPATH=python $(PYTHON) -m unittest discover -s tests/python -t tests/python

# ---- sanitizers and valgrind: the suites without fork, and the run of the gates ----
SUITES = unit internal check-threads
VARIANT = $(MAKE) --no-print-directory BUILD=build/$(1) LIB=build/$(1)/lib CFLAGS="-O1 -g -fno-omit-frame-pointer $(2)" SANITIZE="$(2)"

check-asan:
	CK_FORK=no ASAN_OPTIONS=detect_leaks=1 $(call VARIANT,asan,-fsanitize=address) $(SUITES) check-oom fuzz-corpus

check-ubsan:
	CK_FORK=no $(call VARIANT,ubsan,-fsanitize=undefined -fno-sanitize-recover=all) $(SUITES) fuzz-corpus

check-tsan:
	CK_FORK=no KD_TEST_FEW=1 TSAN_OPTIONS="die_after_fork=0 halt_on_error=1" $(call VARIANT,tsan,-fsanitize=thread) unit check-threads

# valgrind tells the library and BLAS of a processor without AVX-512.
check-valgrind: $(BUILD)/tests/unit $(BUILD)/tests/internal
	@mkdir -p $(SCRATCH)/valgrind
	CK_FORK=no CK_TIMEOUT_MULTIPLIER=30 OPENBLAS_NUM_THREADS=1 $(TEST_ENV) KD_TEST_DIR=$(SCRATCH)/valgrind KD_DATA= KD_TEST_FEW=1 valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite \
	    --errors-for-leak-kinds=definite $(BUILD)/tests/unit
	CK_FORK=no OPENBLAS_NUM_THREADS=1 $(TEST_ENV) KD_TEST_DIR=$(SCRATCH)/valgrind KD_TEST_FEW=1 valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite $(BUILD)/tests/internal

check-blas:
	$(MAKE) --no-print-directory BLAS=blis BUILD=build/blis LIB=build/blis/lib unit internal check-threads
	$(MAKE) --no-print-directory BLAS=none BUILD=build/none LIB=build/none/lib unit internal

check-clang:
	$(MAKE) --no-print-directory CC=clang CXX=clang++ BUILD=build/clang LIB=build/clang/lib unit internal check-symbols

check-arm64:
	sh tests/gates/arm64.sh

check-gates:
	sh tests/gates/break.sh

# ---- fuzzing ----
FUZZ_SECONDS ?= 60
fuzz-corpus: tests/fuzz/fuzz.c $(OBJECTS)
	@mkdir -p $(BUILD)/tests
	$(CC) $(TEST_CFLAGS) -DFUZZ_ALONE $(SANITIZE) -D_GNU_SOURCE -Isrc $< $(OBJECTS) -o $(BUILD)/tests/fuzz-corpus $(LIBS)
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
	KD_FUZZ_KIND=$(KIND) build/fuzz/fuzz -runs=$(FUZZ_RUNS) -timeout=10 -rss_limit_mb=4096 -malloc_limit_mb=2048 -print_final_stats=1 -artifact_prefix=build/fuzz/kind-$(KIND)- build/fuzz/corpus-$(KIND) tests/fuzz/corpus > build/fuzz/log-$(KIND) 2>&1; status=$$?; tail -n 12 build/fuzz/log-$(KIND); exit $$status

fuzz-program: $(OBJECTS)
	clang $(CFLAGS) -fsanitize=fuzzer -D_GNU_SOURCE -std=gnu11 -Iinclude -Isrc tests/fuzz/fuzz.c $(OBJECTS) -o $(BUILD)/fuzz $(LIBS)

# ---- style and coverage ----
coverage:
	CK_FORK=no $(MAKE) --no-print-directory BUILD=build/coverage LIB=build/coverage/lib CFLAGS="-O0 -g --coverage" SANITIZE=--coverage unit internal check-oom check-threads check-faults
	gcovr -r . --object-directory build/coverage/obj --filter src/ --fail-under-line 90 --print-summary -o build/coverage/report.txt
	@tail -n 4 build/coverage/report.txt

style:
	clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h' '*.cpp' | grep -v -e goldens.h -e lib/abi -e ^include)
	$(PYTHON) tests/gates/style.py
