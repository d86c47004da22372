/* Runs in a Web Worker, behind emscripten's glue in one script, for of a file's page a worker may load no other: holds one
 * model and solves with it, one message at a time. */
let web, cells;

onmessage = async ({ data }) => {
    try {
        if (data.type === "load") await load(data);
        else solve(data);
    } catch (error) {
        postMessage({ type: "error", text: String(error && error.message || error) });
    }
};

function bytesOf(base64) {
    const text = atob(base64), bytes = new Uint8Array(text.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
}

function check(status) {
    if (status !== 0) throw new Error(web.ccall("web_error", "string"));
}

async function load({ wasm, model, threads, int8, glue, pthread }) {
    const began = performance.now();
    web = await hrm({
        pool: threads - 1,
        wasmBinary: bytesOf(wasm),
        mainScriptUrlOrBlob: glue, // what emscripten's own threads load
        locateFile: name => name.endsWith(".worker.js") ? pthread : name,
        onSegment(segment, answer, qHalt, qContinue, halted) {
            postMessage({ type: "segment", segment, qHalt, qContinue, halted, answer: web.HEAP32.slice(answer / 4, answer / 4 + cells) });
        },
    });
    web.FS.writeFile("model.safetensors", bytesOf(model));
    check(web.ccall("web_load", "number", ["string", "number", "number"], ["model.safetensors", threads, int8]));
    web.FS.unlink("model.safetensors");
    cells = web.ccall("web_cells", "number");
    postMessage({ type: "ready", cells, maxSteps: web.ccall("web_max_steps", "number"),
                  haltOnly: web.ccall("web_halt_only", "number"), seconds: (performance.now() - began) / 1000 });
}

function solve({ tokens, noHalting }) {
    const began = performance.now(), memory = web._malloc(8 * cells);
    try {
        web.HEAP32.set(tokens, memory / 4);
        check(web.ccall("web_solve", "number", ["number", "number", "number"], [memory, memory + 4 * cells, noHalting ? 1 : 0]));
        postMessage({ type: "done", answer: web.HEAP32.slice(memory / 4 + cells, memory / 4 + 2 * cells),
                      seconds: (performance.now() - began) / 1000 });
    } finally {
        web._free(memory);
    }
}
