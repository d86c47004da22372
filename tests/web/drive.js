/* Drives headless Chromium over its debugging pipe: node drive.js CHROMIUM PAGE. Prints what happened, `NAME: value` a line;
 * with a third argument, a folder, also screenshots, wide and narrow, light and dark. */
"use strict";
const { spawn } = require("child_process"), fs = require("fs"), os = require("os"), path = require("path");
const [chromium, page, pictures] = process.argv.slice(2), profile = fs.mkdtempSync(path.join(os.tmpdir(), "web"));
const browser = spawn(chromium, ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                                 "--no-first-run", "--user-data-dir=" + profile, "about:blank"],
                      { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
const waiting = new Map();
let count = 0, rest = "", session, errors = 0;
browser.stdio[4].on("data", data => {
    const messages = (rest + data).split("\0");
    rest = messages.pop();
    for (const m of messages.map(t => JSON.parse(t))) {
        if (m.method === "Runtime.exceptionThrown") { errors++; console.log("exception: " + JSON.stringify(m.params.exceptionDetails)); }
        if (!waiting.has(m.id)) continue;
        const [resolve, reject] = waiting.get(m.id);
        waiting.delete(m.id);
        if (m.error) reject(new Error(m.error.message)); else resolve(m.result);
    }
});
const send = (method, params = {}) => new Promise((resolve, reject) => {
    waiting.set(++count, [resolve, reject]);
    browser.stdio[3].write(JSON.stringify({ id: count, method, params, sessionId: session }) + "\0");
});
const run = async expression => {
    const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception.description);
    return result.value;
};
const key = async (name, code, text) => {
    await send("Input.dispatchKeyEvent", { type: "keyDown", key: name, windowsVirtualKeyCode: code, text });
    await send("Input.dispatchKeyEvent", { type: "keyUp", key: name, windowsVirtualKeyCode: code });
};
const until = async (expression, seconds) => {
    for (const end = Date.now() + 1000 * seconds; Date.now() < end; await new Promise(r => setTimeout(r, 50)))
        if (await run(expression)) return true;
    return false;
};
const status = name => run(`document.querySelector("#${name} .status").textContent`);
const paste = text => run(`{ const clipboard = new DataTransfer(); clipboard.setData("text", ${JSON.stringify(text)});
    document.querySelector("#sudoku input").dispatchEvent(new ClipboardEvent("paste", { clipboardData: clipboard, bubbles: true, cancelable: true })); }`);
const solve = async name => {
    await run(`document.querySelector("#${name} .main").click()`);
    return until(`document.querySelector("#${name} .main").textContent === "Solve" && document.querySelector("#${name} .status").textContent !== ""`, 120);
};
const shoot = async name => {
    for (const scheme of ["light", "dark"])
        for (const width of [1280, 360]) {
            await send("Emulation.setDeviceMetricsOverride", { width, height: 800, deviceScaleFactor: 1, mobile: width < 400 });
            await send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
            const { data } = await send("Page.captureScreenshot", { captureBeyondViewport: true });
            fs.writeFileSync(path.join(pictures, `${name}-${scheme}-${width}.png`), Buffer.from(data, "base64"));
        }
};

(async () => {
    const { targetId } = (await send("Target.getTargets")).targetInfos.find(t => t.type === "page") || await send("Target.createTarget", { url: "about:blank" });
    session = (await send("Target.attachToTarget", { targetId, flatten: true })).sessionId;
    await send("Runtime.enable");
    await send("Page.navigate", { url: page });
    console.log("opened: " + await until(`!!document.querySelector("#sudoku .board input")`, 60));
    console.log("threads: " + await run(`document.getElementById("device").textContent`));
    await send("Emulation.setDeviceMetricsOverride", { width: 360, height: 800, deviceScaleFactor: 1, mobile: true });
    console.log("fits 360: " + await run("document.documentElement.scrollWidth <= 360"));
    await paste("55" + ".".repeat(79));
    console.log("clash: " + await status("sudoku"));
    if (pictures) await shoot("clash");
    await paste("12x");
    console.log("letter: " + await status("sudoku"));
    await paste("12");
    console.log("short: " + await status("sudoku"));
    await paste("...5.....84..1.3..72.....8.4..3..8.7..34...9......16...3.7..4....7.....65.......8");
    await run(`document.querySelector("#sudoku input").focus()`);
    await key("ArrowRight", 39);
    await key("ArrowDown", 40);
    await key("ArrowUp", 38);
    await key("9", 57, "9"); // row 1, column 2: not what the answer has
    console.log("typed: " + await run(`document.querySelectorAll("#sudoku input")[1].value`));
    await key("ArrowLeft", 37);
    await key("Backspace", 8);
    console.log("erased: " + await run(`document.querySelectorAll("#sudoku input")[1].value === ""`));
    console.log("ended: " + await solve("sudoku"));
    console.log("sudoku: " + await status("sudoku"));
    console.log("answer: " + await run(`[...document.querySelectorAll("#sudoku .board input")].map(e => e.value || ".").join("")`));
    console.log("rows: " + await run(`document.querySelectorAll("#sudoku tbody tr").length`));
    if (pictures) {
        await run(`panels[0].example = 1; [...document.querySelectorAll("#sudoku button")].find(b => b.textContent === "Example").click()`);
        await solve("sudoku"); // in several segments
        await shoot("sudoku");
        await run(`panels[0].show(1)`);
        await shoot("second");
    }
    await run(`document.querySelector("#sudoku .main").click()`);
    await until(`/^Thinking/.test(document.querySelector("#sudoku .status").textContent)`, 20);
    await run(`document.querySelector("#sudoku .main").click()`);
    await until(`document.querySelector("#sudoku .main").textContent === "Solve"`, 20);
    console.log("stopped: " + await status("sudoku"));
    await solve("sudoku");
    console.log("again: " + await status("sudoku"));
    await run(`document.getElementById("maze-tab").click()`);
    // an empty room with its start and goal on one row, by the keyboard: four steps
    await run(`[...document.querySelectorAll("#maze button")].find(b => b.textContent === "Clear walls").click(); document.querySelectorAll("#maze .board button")[12].focus()`);
    await key("s", 83, "s");
    for (let i = 0; i < 4; i++) await key("ArrowRight", 39);
    await key("g", 71, "g");
    console.log("maze ended: " + await solve("maze"));
    console.log("maze: " + await status("maze"));
    await run(`[...document.querySelectorAll("#maze button")].find(b => b.textContent === "New maze").click()`);
    console.log("maze ended: " + await solve("maze"));
    console.log("new maze: " + await status("maze"));
    if (pictures) await shoot("maze");
    // S walled in
    await run(`panels[1].grid = new Array(100).fill(2); Object.assign(panels[1].grid, { 0: 3, 1: 1, 10: 1, 99: 4 }); panels[1].draw()`);
    await solve("maze");
    console.log("walled: " + await status("maze"));
    console.log("exceptions: " + errors);
})().catch(e => console.log("failed: " + e.message)).finally(() => {
    browser.on("exit", () => { fs.rmSync(profile, { recursive: true, force: true }); process.exit(); });
    browser.kill();
});
