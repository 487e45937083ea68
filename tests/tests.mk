# Gates. `make check` is the quick tier; each target below says what it proves. Each gate was seen red: tests/gates.sh breaks the code
# in a copy and expects every gate to fail.
CHECK_FLAGS := $(shell $(PKG_CONFIG) --cflags check 2>/dev/null)
CHECK_LIBS := $(shell $(PKG_CONFIG) --libs check 2>/dev/null)
TEST_CFLAGS := -std=gnu11 -Wall -Wextra -g -O1 -Iinclude
RPATH = -L$(LIB) -Wl,-rpath,$(abspath $(LIB))
TEST_ENV = KD_OLD_FILES=$(abspath tests/old) KD_TEST_DIR=$(abspath $(BUILD)/tests/scratch)

.PHONY: check unit internal examples-check
check: unit internal check-headers check-symbols check-layers check-threads check-examples

$(BUILD)/tests/unit: $(wildcard tests/unit/*.c tests/unit/*.h) tests/goldens/goldens.h $(SHARED)
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) $(CHECK_FLAGS) tests/unit/*.c -o $@ $(RPATH) -lkdistill $(CHECK_LIBS) -lm -pthread

# Internals (parsers, kernels, keys): linked with the objects, because the library hides them.
$(BUILD)/tests/internal: tests/internal/internal.c $(OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(TEST_CFLAGS) $(SANITIZE) -Isrc $(CHECK_FLAGS) $< $(OBJECTS) -o $@ $(CHECK_LIBS) $(LIBS)

unit: $(BUILD)/tests/unit
	@mkdir -p $(BUILD)/tests/scratch
	$(TEST_ENV) $(RUNNER) $(BUILD)/tests/unit

internal: $(BUILD)/tests/internal
	@mkdir -p $(BUILD)/tests/scratch
	$(TEST_ENV) $(RUNNER) $(BUILD)/tests/internal
