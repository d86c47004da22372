# `make web`: build/web/index.html, one file that opens without a server. Needs emscripten (Debian: apt-get install emscripten).
EMCC  ?= emcc
WEB   := $(B)/web
WEB_C  = $(EMCC) -std=gnu99 -O3 -msimd128 -I. -DHRM_NO_MMAP -c examples/web/web.c
# -g1: the glue as it comes; emscripten's minifier wants a module of node that Debian only recommends
WEB_LD = $(EMCC) -O1 -g1 -sMODULARIZE -sEXPORT_NAME=hrm -sENVIRONMENT=worker -sINITIAL_MEMORY=256MB -sFORCE_FILESYSTEM \
         -sEXPORTED_FUNCTIONS=_malloc,_free -sEXPORTED_RUNTIME_METHODS=FS,ccall
# Two programs: threads need shared memory, which browsers give only to pages served with certain headers (docs/web.md).
WEB_PROGRAMS ?= one many
WEB_one   := $(WEB)/one.js $(WEB)/one.wasm
WEB_many  := $(WEB)/many.js $(WEB)/many.worker.js $(WEB)/many.wasm
WEB_PARTS := $(foreach p,$(WEB_PROGRAMS),$(WEB_$(p))) $(addprefix examples/web/,worker.js maze.safetensors) models/sudoku.safetensors

web: $(WEB)/index.html
	@echo "open $(WEB)/index.html"

ifeq ($(shell command -v $(EMCC) 2>/dev/null),)
$(WEB)/index.html:
	@echo "make web needs emscripten (Debian: apt-get install emscripten), or EMCC=path/to/emcc" >&2; exit 1
else
$(WEB)/one.o $(WEB)/many.o: examples/web/web.c hrm.h examples/web/web.mk
	@mkdir -p $(WEB)
	$(WEB_C) $(if $(findstring many,$@),-pthread,-DHRM_NO_THREADS) -o $@
$(WEB)/one.js: $(WEB)/one.o
	$(WEB_LD) $< -o $@
$(WEB)/many.js: $(WEB)/many.o
	$(WEB_LD) -pthread -sPTHREAD_POOL_SIZE=Module.pool $< -o $@
$(WEB)/one.wasm: $(WEB)/one.js
$(WEB)/many.wasm $(WEB)/many.worker.js: $(WEB)/many.js
$(WEB)/index.html: examples/web/index.html $(WEB_PARTS)
	@{ sed '/^<!-- embed -->$$/,$$d' $<; \
	   for part in $(WEB_PARTS); do \
	       printf '<script type="text/plain" id="%s">' "$${part##*/}"; base64 < "$$part" | tr -d '\n'; echo '</script>'; \
	   done; \
	   sed '1,/^<!-- embed -->$$/d' $<; } > $@.part && mv $@.part $@
endif
.PHONY: web
