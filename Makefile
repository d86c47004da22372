# hrm.h needs a C compiler and make. Everything is built under build/.
#   make            the command build/hrm and the examples        make demo     solves 9x9 Sudoku, trains on 4x4
#   make test       the tests, in minutes                         make bench    timings
#   make test-all   these and what takes longer or seldom fails   make fuzz     every reader under libFuzzer
#   make fault      every command while the system fails          make matrix   every compiler and machine that can be had
#   make mutants    the tests against faults of one line          make long     long runs, and killed ones
#   make coverage   which lines of hrm.h the tests run
#   make lib        build/libhrm.a and build/libhrm.so            make install  [PREFIX=/usr/local] [DESTDIR=] [LIBDIR=]
#   make asan ubsan tsan msan valgrind the tests under a checker  make cuda     with the GPU backend, where nvcc is
#   make web        build/web/index.html, a page that solves in the browser; needs emscripten
#   make MPI=1      the command for mpirun too (docs/devices.md)
#   make dist       build/hrm-VERSION.tar.gz
CC      ?= cc
CFLAGS  ?= -O3 -g
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
DESTDIR ?=
VERSION := $(shell sed -n 's/^\#define HRM_VERSION  *"\(.*\)"/\1/p' hrm.h)
ABI     := $(basename $(VERSION))

# A compiler of tomorrow may warn of what today's does not: that stops nobody's build. WERROR=-Werror makes warnings errors, as in CI.
WERROR   ?=
WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes $(WERROR)
B     ?= build
FLAGS = $(WARNINGS) -pthread -I. -Itools $(CPPFLAGS) $(STB) $(DEFINES)
HRM_C = $(CC) -std=c99 $(CFLAGS) $(FLAGS)
LIBS  = -lm -pthread

TOOLS    := $(wildcard tools/*.c)
EXAMPLES := $(patsubst examples/%.c,%,$(wildcard examples/*.c))
TESTS    := $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
TESTS_OUTSIDE := test_arc test_data test_dataset test_pictures # these need the interface only
SCRIPTS  := $(wildcard tests/test_*.sh)
# What solves Sudokus when no checkpoint is named; without it everything else is built and installed all the same.
MODEL    := $(wildcard models/sudoku.safetensors)
BENCHES  := $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/*.c))

# stb's single headers (Debian: libstb-dev) draw the pictures; without them everything else is built.
# (The sign in a variable: written out it is a comment in some versions of make, and keeps its backslash in others.)
HASH := \#
STB := $(shell printf '$(HASH)include <stb/stb_image_write.h>\n' | $(CC) $(CPPFLAGS) -E -x c - >/dev/null 2>&1 && echo -DHRM_HAVE_STB)

# Several processes (docs/devices.md): over TCP in every build; MPI=1 has MPI too, of mpich or Open MPI, whichever mpicc is first.
# mpicc's own words for it; its folders as a system's, whose headers are not warned of.
MPICC    ?= mpicc
MPI_CFLAGS = $(patsubst -I%,-isystem %,$(filter -I%,$(shell $(MPICC) --showme:compile 2>/dev/null || $(MPICC) -compile_info))) -DHRM_USE_MPI
MPI_LIBS   = $(filter -L% -l% -Wl%,$(shell $(MPICC) --showme:link 2>/dev/null || $(MPICC) -link_info))
COMM       = $(B)/tools/comm_mpi$(if $(MPI),_there).o

all: $(if $(TOOLS),$(B)/hrm) $(EXAMPLES:%=$(B)/examples/%)

$(B)/hrm.o: hrm.h Makefile | $(B)
	$(HRM_C) -fPIC -x c -DHRM_IMPLEMENTATION -c hrm.h -o $@

$(B)/tools/%.o: tools/%.c hrm.h $(wildcard tools/*.h) Makefile | $(B)/tools
	$(HRM_C) -c $< -o $@

$(B)/tools/comm_mpi_there.o: tools/comm_mpi.c tools/comm.h hrm.h Makefile | $(B)/tools
	$(HRM_C) $(MPI_CFLAGS) -c $< -o $@

OTHERS = $(patsubst tools/%.c,$(B)/tools/%.o,$(filter-out tools/comm_mpi.c,$(TOOLS)))
$(B)/hrm: $(OTHERS) $(COMM) $(B)/hrm.o $(B)/with-mpi-$(if $(MPI),yes,no)
	$(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(LIBS) $(if $(MPI),$(MPI_LIBS)) -o $@
# The same with MPI, for tests of both.
$(B)/hrm-mpi: $(OTHERS) $(B)/tools/comm_mpi_there.o $(B)/hrm.o
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LIBS) $(MPI_LIBS) -o $@
$(B)/with-mpi-yes $(B)/with-mpi-no: | $(B)
	@rm -f $(B)/with-mpi-*; touch $@

# Where the command looks for its model last; first beside its own file, so that an installation may be moved.
$(B)/tools/hrm.o $(B)/cuda/tools/hrm.o: DEFINES = -DHRM_MODELS_DIR='"$(PREFIX)/share/hrm/models"'

# An example holds the implementation itself, as what a person copies from does. Here it is compiled once for all of them.
ONCE = -DHRM_IMPLEMENTATION_DONE
$(B)/examples/%: examples/%.c $(B)/hrm.o hrm.h $(wildcard tools/*.h) Makefile | $(B)/examples
	$(HRM_C) $(ONCE) $(LDFLAGS) $< $(B)/hrm.o $(LIBS) -o $@

# Tests look inside the implementation, some with other options than the default; what one does not use of it is not compiled.
# Most compute little, or in kernels that are optimised whatever is asked for: not optimised, and without the default's -g, they
# build in half the time.
NO_DEBUG = $(subst -O3 -g,-O3,$(CFLAGS))
$(B)/tests/%: TEST_CFLAGS = $(subst -O3,-O0,$(NO_DEBUG)) -DHRM_STATIC -Wno-unused-function
$(B)/tests/test_data $(B)/tests/test_gemm $(B)/tests/test_gradients: TEST_CFLAGS = $(subst -O3,-O1,$(NO_DEBUG)) -DHRM_STATIC -Wno-unused-function
$(TESTS_OUTSIDE:%=$(B)/tests/%) $(B)/tests/test_fuzz: TEST_CFLAGS = $(subst -O3,-O0,$(NO_DEBUG))
TEST_C = $(CC) -std=c99 $(TEST_CFLAGS) $(FLAGS) -Itests
$(B)/tests/%: tests/%.c tests/harness.h hrm.h $(wildcard tests/*.h tools/*.h) Makefile | $(B)/tests
	$(TEST_C) $(LDFLAGS) $< $(LIBS) -o $@
$(TESTS_OUTSIDE:%=$(B)/tests/%): $(B)/tests/%: tests/%.c $(B)/hrm.o tests/harness.h hrm.h $(wildcard tests/*.h tools/*.h) Makefile | $(B)/tests
	$(TEST_C) $(ONCE) $(LDFLAGS) $< $(B)/hrm.o $(LIBS) -o $@

# The fuzzers' targets take the command's sources in, but for its main().
FUZZ_TOOLS := $(patsubst tools/%.c,%.o,$(filter-out tools/hrm.c tools/solve.c,$(TOOLS)))
FUZZ_H     := $(wildcard tests/fuzz/*.h) tools/solve.c
$(B)/tests/hrm.o: tools/hrm.c hrm.h $(wildcard tools/*.h) Makefile | $(B)/tests
	$(HRM_C) -Dmain=hrm_main -DHRM_MODELS_DIR='"nowhere"' -c $< -o $@
$(B)/tests/test_fuzz: tests/test_fuzz.c $(FUZZ_H) tests/harness.h $(B)/tests/hrm.o $(B)/hrm.o $(FUZZ_TOOLS:%=$(B)/tools/%) | $(B)/tests
	$(TEST_C) $(ONCE) $(LDFLAGS) $(filter %.c %.o,$(filter-out tools/%,$^)) $(LIBS) -o $@

# The GPU backend for a processor that plays the GPU; where there is no C++ compiler the test says so.
DUMMY_CXX := $(shell printf 'int main() { return 0; }' | $(CXX) -std=c++17 -x c++ -fsyntax-only - >/dev/null 2>&1 && echo $(CXX))
DUMMY_O   := $(if $(DUMMY_CXX),$(B)/tests/hrm_dummy.o)
$(B)/tests/hrm_dummy.o: hrm_cuda.cu hrm.h $(wildcard tests/cuda/dummy/*) Makefile | $(B)/tests
	sh tests/cuda/dummy/translate.sh hrm_cuda.cu > $(B)/tests/hrm_dummy.cpp
	$(DUMMY_CXX) -std=c++17 -O1 -w -pthread -I. -Itests/cuda/dummy -c $(B)/tests/hrm_dummy.cpp -o $@
$(B)/tests/test_dummy: tests/test_dummy.c tests/cuda/test_cuda.c $(DUMMY_O) tests/harness.h tests/util.h hrm.h Makefile | $(B)/tests
	$(CC) -std=c99 -D_XOPEN_SOURCE=700 -O1 -w -pthread $(if $(DUMMY_O),-DHRM_USE_CUDA,-DNO_DUMMY) -I. -Itests $(CPPFLAGS) $< $(DUMMY_O) \
	    $(LIBS) $(if $(DUMMY_O),-lstdc++) -o $@

$(B)/bench/%: tests/bench/%.c hrm.h Makefile | $(B)/bench
	$(HRM_C) $(LDFLAGS) $< $(LIBS) -o $@

$(B) $(B)/tools $(B)/examples $(B)/tests $(B)/bench:
	mkdir -p $@

help:
	@sed -n 's/^#   \(make\)/\1/p' $(firstword $(MAKEFILE_LIST))

# Solves an extreme 9x9 board with the model that comes with the command, then trains one of its own on the machine's processors,
# half a minute to two. Options: make demo ARGS="--seed 2"
demo: $(B)/hrm $(B)/examples/sudoku
	@if [ -n "$(MODEL)" ]; then HRM_MODELS=models $(B)/hrm solve sudoku examples/extreme.txt --show-steps || true; \
	    else echo "models/sudoku.safetensors is not here: the 9x9 board is left out"; fi
	@echo
	$(B)/examples/sudoku --save $(B)/sudoku.safetensors $(ARGS)

# Builds everything, runs the tests and adds up. `make test T="test_gemm test_act"` runs these alone. What takes long and seldom
# fails is left to test-all, which does the rest too: whole scripts, and parts of those that ask for HRM_TEST_ALL.
SLOW := test_dummy test_packages.sh test_web.sh
# What a user names as T, else this.
T_OR = $(if $(filter file,$(origin T)),$(1),$(T))
T ?= $(filter-out $(if $(HRM_TEST_ALL),,$(SLOW)),$(TESTS) $(notdir $(SCRIPTS)))
tests: $(TESTS:%=$(B)/tests/%)
test:
	@MAKE="$(MAKE)" CC="$(CC)" B="$(B)" WERROR="$(WERROR)" HRM_TEST_ALL="$(HRM_TEST_ALL)" \
	    HRM_SANITIZE="$(filter -fsanitize=%,$(CFLAGS))" sh tests/run.sh $(T)
test-all:
	@$(MAKE) --no-print-directory test HRM_TEST_ALL=1

# The header under every compiler, version of the language, option and machine that can be had here: a quarter of an hour on two idle
# cores. ONLY='s390x|clang' takes the builds of such names alone.
matrix:
	@HRM_TEST_ONLY='$(ONLY)' HRM_TEST_MATRIX=1 HRM_TEST_TIMEOUT=7200 $(MAKE) --no-print-directory test HRM_TEST_ALL=1 T=test_builds.sh
	@cat $(B)/tests/logs/test_builds.sh.txt

# The Python package (tools/python) compiled as pip would do it; `make test` links it of what is built. PYTHON=… names another python3.
test-python:
	@HRM_PYTHON_COMPILE=1 MAKE="$(MAKE)" CC="$(CC)" B="$(B)" WERROR="$(WERROR)" sh tests/run.sh test_python.sh

# Lines of at most 128 columns, and nothing else: where to break them is the author's.
PAGE := hrm.h hrm_cuda.cu $(wildcard $(foreach d,tools examples tests tests/*,$(d)/*.c $(d)/*.h $(d)/*.cu))
format-check:
	@LC_ALL=C awk '{ line = $$0; gsub(/[\200-\277]/, "", line) } length(line) > 128 { print FILENAME ":" FNR ": " length(line) " columns, at most 128"; bad = 1 } \
	    END { exit bad }' $(PAGE)

# What reads the code without running it (tests/lint.sh): clang-tidy, cppcheck, gcc's analyzer, each file and each of them by itself;
# JOBS at a time. LINT="tools/plot.c" is read alone.
ifeq ($(origin LINT),default) # make has one of its own
LINT := hrm.h $(TOOLS) $(wildcard examples/*.c tests/*.c)
endif
lint:
	@CC="$(CC)" B="$(B)" JOBS="$(JOBS)" FLAGS="-std=c99 -pthread -I. -Itools $(STB)" OUTSIDE="$(TESTS_OUTSIDE) test_fuzz golden_dataset" \
	    sh tests/lint.sh $(LINT)

bench: $(BENCHES:%=$(B)/bench/%)
	@for b in $(BENCHES); do $(B)/bench/$$b || exit 1; done

# Every reader under libFuzzer with sanitizers, SECONDS each, JOBS at a time; needs clang. What is found is in $(B)/fuzz/found, what
# was covered in $(B)/fuzz/corpus, from which the next run goes on. FUZZ="json state" runs these alone.
FUZZ    ?= json yaml npy checkpoint state model dataset config puzzle grid csv task
SECONDS ?= 60
JOBS    ?= $(shell nproc 2>/dev/null || echo 1)
FUZZ_C   = clang -std=c99 -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all \
    -DHRM_NO_SIMD -DHRM_NO_MMAP -DHRM_MODELS_DIR='"nowhere"' -pthread -I. -Itools
fuzz: $(B)/fuzz/fuzz $(B)/fuzz/seeds/task.dict
	@FUZZ="$(FUZZ)" SECONDS_EACH="$(SECONDS)" JOBS="$(JOBS)" B="$(B)" sh tests/fuzz/run.sh
$(B)/fuzz $(B)/fuzz/seeds:
	mkdir -p $@
$(B)/fuzz/hrm.o: tools/hrm.c hrm.h $(wildcard tools/*.h) Makefile | $(B)/fuzz
	$(FUZZ_C) -Dmain=hrm_main -c $< -o $@
$(B)/fuzz/%.o: tools/%.c hrm.h $(wildcard tools/*.h) Makefile | $(B)/fuzz
	$(FUZZ_C) -c $< -o $@
$(B)/fuzz/fuzz: tests/fuzz/fuzz.c $(FUZZ_H) $(B)/fuzz/hrm.o $(FUZZ_TOOLS:%=$(B)/fuzz/%)
	$(FUZZ_C) -fsanitize=fuzzer $(LDFLAGS) $(filter %.c %.o,$(filter-out tools/%,$^)) $(LIBS) -o $@
$(B)/fuzz/write: tests/fuzz/fuzz.c $(FUZZ_H) $(B)/tests/hrm.o $(FUZZ_TOOLS:%=$(B)/tools/%) | $(B)/fuzz
	$(CC) -std=c99 -O0 -g -DHRM_NO_SIMD -DHRM_FUZZ_CORPUS -pthread -I. -Itools $(filter %.c %.o,$(filter-out tools/%,$^)) $(LIBS) -o $@
$(B)/fuzz/seeds/task.dict: $(B)/fuzz/write | $(B)/fuzz/seeds
	$< $(B)/fuzz/seeds

# Every command with its n-th allocation, read, write, sync, rename and so on failing, for all n, JOBS at a time; EVERY=k takes each k-th,
# ONLY=train the commands of such names.
fault: $(B)/hrm
	@CC="$(CC)" B="$(B)" EVERY=$(or $(EVERY),1) JOBS="$(JOBS)" HRM_TEST_ONLY="$(ONLY)" bash tests/test_fault.sh

# 100,000 steps, runs killed at 200 moments, two processes in one folder 200 times: a quarter of an hour.
long: $(B)/hrm
	@HRM_TEST_LONG=1 B="$(B)" bash tests/test_long.sh

# Lines of hrm.h that the C tests run, on every instruction set that is there (test_paths.sh): needs gcc and gcovr. A line of code
# that is compiled for several is counted once. What only scripts reach (the whole command) is not asked.
T_COVERAGE ?= $(filter-out test_dummy test_fuzz,$(TESTS)) test_paths.sh
coverage:
	@command -v gcovr >/dev/null || { echo "make coverage: gcovr is needed (pip install gcovr)" >&2; exit 1; }
	@find $(B)/coverage -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) --no-print-directory test B=$(B)/coverage T="$(call T_OR,$(T_COVERAGE))" \
	    CFLAGS="-O0 -g --coverage -fprofile-update=atomic -DHRM_COVERAGE"
	@gcovr -r . --filter 'hrm\.h' --merge-mode-functions=separate --txt $(B)/coverage/lines.txt --print-summary --fail-under-line 95 \
	    $(B)/coverage
	@echo "what is not run: $(B)/coverage/lines.txt"

# Every fault of tests/mutants/list.txt in a copy of the sources must be noticed by the tests named there; where there is a GPU, those
# of its kernels too. MUTANTS="name name" JOBS=n.
mutants:
	@MAKE="$(MAKE)" B="$(B)" sh tests/mutants/run.sh
	@if [ -z "$(MUTANTS)" ] && nvidia-smi -L >/dev/null 2>&1; then MAKE="$(MAKE)" B="$(B)" LIST=tests/mutants/kernels.txt JOBS=1 sh tests/mutants/run.sh; fi

# The implementation compiled once, for programs that include the header plainly. Before 1.0 every minor version has an ABI of its own.
COMMA  := ,
SO_OF   = $(if $(filter Darwin,$(SYSTEM)),libhrm$(1).dylib,libhrm.so$(1))
SYSTEM := $(shell uname -s)
SO     := $(call SO_OF,)
SO_ABI := $(call SO_OF,.$(ABI))
SO_ALL := $(call SO_OF,.$(VERSION))
SONAME := $(if $(filter Darwin,$(SYSTEM)),-install_name$(COMMA)$(LIBDIR)/,-soname$(COMMA))$(SO_ABI)
lib: $(B)/libhrm.a $(B)/$(SO)
$(B)/libhrm.a: $(B)/hrm.o
	rm -f $@; $(AR) rcs $@ $^
$(B)/$(SO_ALL): $(B)/hrm.o
	$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,$(SONAME) $^ $(LIBS) -o $@
$(B)/$(SO): $(B)/$(SO_ALL)
	ln -sf $(SO_ALL) $(B)/$(SO_ABI)
	ln -sf $(SO_ABI) $@

# The C tests again, or those that T names, in a build folder of their own, under the compilers' checkers.
SANITIZE = @$(MAKE) --no-print-directory test B=$(B)/$@ T="$(call T_OR,$(T_SANITIZE))" CFLAGS="-O1 -g -fno-omit-frame-pointer
T_SANITIZE ?= $(filter-out test_dummy,$(TESTS)) test_cli.sh test_family.sh test_own_task.sh test_arc.sh # test_dummy switches stacks by itself
asan:
	$(SANITIZE) -fsanitize=address -fno-sanitize-recover=all"
ubsan:
	$(SANITIZE) -fsanitize=undefined -fno-sanitize-recover=all"
tsan:
	$(SANITIZE) -fsanitize=thread"
MSAN_CC ?= clang # 15 or later, which knows the calls of newer C libraries
msan: # it cannot look into instructions written out
	$(SANITIZE) -fsanitize=memory -fno-sanitize-recover=all -DHRM_NO_SIMD" CC=$(MSAN_CC)
valgrind:
	@$(MAKE) --no-print-directory test B=$(B)/$@ T="$(call T_OR,$(T_SANITIZE))" HRM_TEST_RUNNER="valgrind -q --error-exitcode=9 --leak-check=full"

# Files for pkg-config and CMake of their templates, which CMakeLists.txt takes too.
CMAKEDIR = $(LIBDIR)/cmake/hrm
FILL = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR:$(PREFIX)/%=$${prefix}/%)|' -e 's|@VERSION@|$(VERSION)|' -e 's|@ABI@|$(ABI)|' -e 's|@SO@|$(SO)|' \
    -e '/^@MORE@$$/d' tools/package/$(notdir $(1)).in > $(DESTDIR)$(1) && chmod 644 $(DESTDIR)$(1)
FILLED = $(LIBDIR)/pkgconfig/hrm.pc $(LIBDIR)/pkgconfig/libhrm.pc $(CMAKEDIR)/hrm-config.cmake $(CMAKEDIR)/hrm-config-version.cmake \
    $(CMAKEDIR)/hrm-targets.cmake
install: all lib
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(CMAKEDIR)
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 hrm.h $(DESTDIR)$(PREFIX)/include/hrm.h
	install -m 755 $(B)/hrm $(DESTDIR)$(PREFIX)/bin/hrm
	install -m 644 docs/hrm.1 $(DESTDIR)$(PREFIX)/share/man/man1/hrm.1
	install -m 644 $(B)/libhrm.a $(DESTDIR)$(LIBDIR)/libhrm.a
	install -m 755 $(B)/$(SO_ALL) $(DESTDIR)$(LIBDIR)/$(SO_ALL)
	ln -sf $(SO_ALL) $(DESTDIR)$(LIBDIR)/$(SO_ABI)
	ln -sf $(SO_ABI) $(DESTDIR)$(LIBDIR)/$(SO)
	$(foreach f,$(FILLED),$(call FILL,$(f)) &&) true
	$(if $(MODEL),install -d $(DESTDIR)$(PREFIX)/share/hrm/models)
	$(if $(MODEL),install -m 644 $(MODEL) $(DESTDIR)$(PREFIX)/share/hrm/models)
	@[ -n "$(DESTDIR)" ] || ldconfig 2>/dev/null || true

uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/,include/hrm.h bin/hrm share/man/man1/hrm.1)
	rm -f $(DESTDIR)$(PREFIX)/share/hrm/models/sudoku.safetensors
	rmdir $(DESTDIR)$(PREFIX)/share/hrm/models $(DESTDIR)$(PREFIX)/share/hrm 2>/dev/null || true
	rm -f $(addprefix $(DESTDIR),$(FILLED) $(addprefix $(LIBDIR)/,libhrm.a $(SO) $(SO_ABI) $(SO_ALL)))
	rmdir $(DESTDIR)$(CMAKEDIR) 2>/dev/null || true

# All that git knows, in one archive: the same bytes from the same files. Made of an unpacked archive, all but what was built there.
TAR       ?= $(firstword $(foreach t,gtar tar,$(shell command -v $(t) 2>/dev/null)))
DIST      := hrm-$(VERSION)
DIST_LIST  = if [ -e .git ]; then git ls-files; else find . -path ./build -prune -o -type f -print | sed 's|^\./||'; fi
dist: | $(B)
	@$(TAR) --version 2>/dev/null | grep -q GNU || { echo "make dist: GNU tar is needed; name it by TAR=" >&2; exit 1; }
	$(DIST_LIST) | LC_ALL=C sort > $(B)/$(DIST).list
	$(TAR) --create --format=ustar --owner=0 --group=0 --numeric-owner --mode=u+rw,go=rX,u-s --mtime=@$(or $(SOURCE_DATE_EPOCH),1767225600) \
	    --transform='s|^|$(DIST)/|' --files-from=$(B)/$(DIST).list --file=$(B)/$(DIST).tar
	gzip -9 -n -f $(B)/$(DIST).tar
	@rm $(B)/$(DIST).list; echo $(B)/$(DIST).tar.gz

clean:
	rm -rf $(B)

.PHONY: help all demo tests test test-all matrix fuzz fault mutants coverage long test-python format-check lint bench lib asan ubsan tsan msan valgrind install uninstall dist clean
-include tools/cuda.mk
-include tools/bench.mk
-include examples/web/web.mk
