// `make card`: shows the card in Chromium inside the official host bridge, in every state, and looks at what it does.
// Screenshots are left in the folder that is named; the exit code says whether anything was wrong.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const folder = resolve(process.argv[2]), python = resolve(process.argv[3]), here = import.meta.dirname;
const need = createRequire(join(folder, "package.json"));
const { chromium } = need("playwright-core"), esbuild = need("esbuild");
const screens = join(folder, "screens"), state = mkdtempSync(join(tmpdir(), "card-")), port = 18900 + process.pid % 900;
mkdirSync(screens, { recursive: true });

// ---- what is served: the host page, the sandbox on another origin with the policy the card asked for, the server
const { outputFiles: [bundle] } = await esbuild.build({
  entryPoints: [join(here, "host.js")], bundle: true, format: "iife", write: false, logLevel: "error",
  nodePaths: [join(folder, "node_modules")], platform: "browser",
});
function policy(csp) {
  const more = (csp.resourceDomains || []).join(" ");
  return `default-src 'none'; script-src 'self' 'unsafe-inline' ${more}; style-src 'self' 'unsafe-inline' ${more}; `
    + `img-src 'self' data: ${more}; media-src 'self' data: ${more}; font-src 'self' ${more}; `
    + `connect-src ${(csp.connectDomains || []).join(" ") || "'none'"}; object-src 'none'; base-uri 'self'`;
}
function serving(answer) {
  return new Promise(done => {
    const server = createServer(answer);
    server.listen(0, "127.0.0.1", () => done([server, `http://127.0.0.1:${server.address().port}`]));
  });
}
const [sandboxServer, sandbox] = await serving((asked, reply) => {
  const csp = JSON.parse(new URL(asked.url, "http://sandbox").searchParams.get("csp") || "{}");
  reply.writeHead(200, { "Content-Type": "text/html", "Content-Security-Policy": policy(csp) });
  reply.end(readFileSync(join(here, "sandbox.html")));
});
const [hostServer, hostUrl] = await serving((asked, reply) => {
  const isScript = asked.url.startsWith("/host.js");
  reply.writeHead(asked.url === "/" || isScript ? 200 : 204, { "Content-Type": isScript ? "text/javascript" : "text/html" });
  reply.end(isScript ? bundle.text : `<!doctype html><meta charset=utf-8><link rel=icon href="data:,"><style>body{margin:16px}
    iframe{border:1px solid #8888;border-radius:12px}</style><script>SANDBOX=${JSON.stringify(sandbox)}</script>
    <body><script src="/host.js"></script>`);
});
// a provider's host of results: its name leads here, and no other name leads anywhere
const keys = ["-keyout", join(state, "key.pem"), "-out", join(state, "cert.pem"), "-subj", "/CN=replicate.delivery"];
execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", ...keys], { stdio: "ignore" });
let clip = null;
const results = createSecureServer(
  { key: readFileSync(join(state, "key.pem")), cert: readFileSync(join(state, "cert.pem")) },
  (_, reply) => reply.writeHead(clip ? 200 : 404, { "Content-Type": "video/mp4" }).end(clip),
);
await new Promise(done => results.listen(0, "127.0.0.1", done));
const names = `MAP replicate.delivery 127.0.0.1:${results.address().port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1`;
const environment = {
  PATH: process.env.PATH, HOME: state, KEYFRAME_STATE_DIR: join(state, "state"), KEYFRAME_OUTPUT_DIR: join(state, "out"),
};
const states = JSON.parse(execFileSync(python, [join(here, "states.py")], { env: environment, encoding: "utf8" }));
const server = spawn(python, ["-m", "keyframe_mcp", "serve", "--transport", "http", "--port", String(port)],
  { env: environment, stdio: ["ignore", "ignore", "pipe"] });
let log = "";
server.stderr.on("data", text => { log += text });

// ---- the browser
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || which("chromium", "chromium-browser", "google-chrome"),
  args: [
    "--no-sandbox", "--disable-dev-shm-usage", "--ignore-certificate-errors", "--autoplay-policy=no-user-gesture-required",
    `--host-resolver-rules=${names}`,
  ],
});
const context = await browser.newContext({ viewport: { width: 700, height: 1600 }, deviceScaleFactor: 2 });
const page = await context.newPage(), complaints = [], requests = [];
page.on("console", each => { if (["error", "warning"].includes(each.type())) complaints.push(each.text()) });
page.on("pageerror", error => complaints.push(String(error)));
page.on("request", each => requests.push(each.url()));

function which(...names) {
  const places = names.flatMap(name => process.env.PATH.split(":").map(each => join(each, name)));
  return places.find(each => existsSync(each));
}
async function until(holds, what, seconds = 40) {
  for (let left = seconds * 20; left; left--) {
    if (await holds()) return;
    await new Promise(done => setTimeout(done, 50));
  }
  throw new Error(`waited ${seconds} s for ${what}`);
}
const card = () => page.frameLocator("iframe").frameLocator("iframe");
const title = () => card().locator("h2").first().textContent({ timeout: 5000 }).catch(() => "");
const heard = async method => (await page.evaluate(() => host.heard())).filter(each => each.method === method);
const calls = async () => (await heard("tools/call")).map(each => each.params);
const open = given => page.evaluate(each => host.show(each), given);
const scripted = (name, more = {}) => open({
  tool: "get_task", values: { task_id: "task" }, answers: { list_tasks: { structuredContent: { tasks: [] } } },
  result: { content: [{ type: "text", text: "" }], structuredContent: states[name] }, ...more,
});
async function picture(name) {
  await page.waitForTimeout(150);
  await page.locator("iframe").first().screenshot({ path: join(screens, `${name}.png`) });
}
async function isTight() {
  const [wide, seen, high, given] = await card().locator("body").evaluate(body => [
    document.documentElement.scrollWidth, innerWidth, body.getBoundingClientRect().height, innerHeight]);
  assert.ok(wide <= seen, `the card is ${wide} px wide in a frame of ${seen}`);
  assert.ok(Math.abs(high - given) <= 2, `the card is ${high} px high in a frame of ${given}`);
}

// ---- the scenes
const scenes = {
  async "a real task: running, then done, with a contact sheet for a poster"() {
    const [first, last] = ["dawn", "dusk"].map(name => "data:image/jpeg;base64,"
      + readFileSync(join(here, `../../src/keyframe_mcp/samples/${name}.jpg`), "base64"));
    const prompt = "The camera drifts to the right while dawn becomes dusk";
    await open({ tool: "generate_flf2v", values: { first_image: first, last_image: last, prompt, model: "local/morph", duration: 6 } });
    await until(async () => /Being made|saved/.test(await title()), "the task to run");
    assert.equal(await card().locator("progress").isVisible(), true);
    assert.match(await card().locator("body").innerText(), /drifts to the right/);
    await picture("running");
    await until(async () => await title() === "Done", "the task to end");
    await until(() => card().locator("img").isVisible(), "the contact sheet");
    await picture("succeeded-file");
    const made = await calls();
    assert.deepEqual([...new Set(made.map(each => each.name))], ["get_task", "view_video"]);
    assert.ok(made.filter(each => each.name === "get_task").length <= 2, "the card asks too often");
    assert.equal(made.filter(each => each.name === "view_video").length, 1);
    clip = readFileSync((await card().locator("body").innerText()).match(/machine: (\S+\.mp4)/)[1]);
    await card().getByRole("button", { name: "Continue from the last frame" }).click();
    await until(async () => (await heard("ui/message")).length === 1, "the message");
    assert.match((await heard("ui/message"))[0].params.content[0].text, /image=task:kf_/);
    await isTight();
  },
  async "a real task is cancelled, after a question"() {
    await open({ tool: "generate_t2v", values: { prompt: "a heron, slowly", model: "local/storyboard", duration: 30, resolution: "1080p" } });
    await card().getByRole("button", { name: "Cancel" }).click();
    await picture("cancel-question");
    assert.equal(await card().getByRole("button", { name: "Stop it" }).evaluate(each => document.activeElement === each), true);
    await page.keyboard.press("Escape");
    await card().getByRole("button", { name: "Cancel" }).click();
    await card().getByRole("button", { name: "Stop it" }).click();
    await until(async () => await title() === "Stopped", "the task to stop");
    assert.equal((await calls()).filter(each => each.name === "cancel_task").length, 1);
    await picture("cancelled");
  },
  async "a dry run and a refusal"() {
    await open({ tool: "generate_t2v", values: { prompt: "a heron", model: "local/storyboard", dry_run: true } });
    await until(async () => (await title()).startsWith("Checked"), "the dry run");
    await picture("dry-run");
    await open({ tool: "generate_t2v", values: { prompt: "a heron", model: "nobody/nothing" } });
    await until(async () => await title() === "It did not work", "the refusal");
    await picture("refused");
  },
  async "a video on a declared host plays"() {
    await scripted("played");
    await until(() => card().locator("video").evaluate(each => each.videoWidth > 0, null, { timeout: 5000 }), "the video");
    await picture("succeeded");
    await card().getByRole("button", { name: "Open" }).click();
    await until(async () => (await heard("ui/open-link")).length === 1, "the link");
    assert.equal((await heard("ui/open-link"))[0].params.url, states.played.outputs[0].url);
    assert.deepEqual((await calls()).map(each => each.name), ["list_tasks"]);
    await isTight();
  },
  async "a video elsewhere is blocked, and is opened or copied instead"() {
    const before = complaints.length;
    await scripted("blocked");
    await until(async () => /cannot be played here/.test(await card().locator("body").innerText()), "the sentence");
    assert.ok(complaints.splice(before).every(each => /Content Security Policy/.test(each)));
    await card().getByRole("button", { name: "Copy address" }).click();
    await until(async () => /Copied|Copy it/.test(await card().locator("#said").innerText()), "the copy");
    await picture("blocked");
  },
  async "failed, unknown and others, in light and dark"() {
    for (const theme of ["light", "dark"]) for (const name of ["failed", "unknown", "half", "two", "several"]) {
      const before = complaints.length;
      await scripted(name, { context: { theme }, answers: {
        list_tasks: { structuredContent: states.list }, get_task: { structuredContent: states[name] },
      } });
      await until(async () => (await title()) !== "", name);
      if (name === "two") complaints.splice(before);
      await picture(`${name}-${theme}`);
      await isTight();
    }
    await scripted("unknown");
    assert.match(await card().locator("body").innerText(), /Do not generate it again/);
    assert.deepEqual((await calls()).filter(each => each.name === "get_task"), []);
  },
  async "several tasks are rows that open, with their words"() {
    await scripted("several", { answers: { list_tasks: { structuredContent: states.list },
      get_task: { structuredContent: { tasks: [states.played] } } } });
    assert.equal(await card().locator("details").count(), 6);
    await until(async () => (await card().locator("body").innerText()).includes(states.words.chinese), "the words");
    await until(async () => (await calls()).some(each => each.name === "get_task"), "the poll");
    assert.equal((await calls()).find(each => each.name === "get_task").arguments.task_ids.length, 3);
    await card().locator("summary").nth(3).click();
    await picture("several-open");
    await isTight();
  },
  async "a narrow host with long words"() {
    const values = { prompt: `${states.words.german} ${states.words.chinese}` };
    for (const name of ["half", "unknown", "played"]) {
      await scripted(name, { width: 320, values, tool: "generate_flf2v", answers: { get_task: { structuredContent: states[name] } } });
      await until(async () => (await title()) !== "", name);
      await picture(`narrow-${name}`);
      await isTight();
    }
    await scripted("several", { width: 320, answers: { list_tasks: { structuredContent: states.list }, get_task: {} } });
    await until(async () => (await card().locator("body").innerText()).includes(states.words.german), "the words");
    await picture("narrow-several");
    await isTight();
  },
  async "a host that can do nothing gets text and values to copy"() {
    await scripted("running", { capabilities: {} });
    await until(async () => /does not let the card ask/.test(await card().locator("#said").innerText()), "the sentence");
    assert.equal(await card().getByRole("button", { name: "Cancel" }).count(), 0);
    await picture("no-capabilities");
    await scripted("played", { capabilities: {} });
    assert.equal(await card().getByRole("button", { name: "Open" }).count(), 0);
    assert.deepEqual(await calls(), []);
  },
  async "answers of another shape are said all the same, and long ones are cut"() {
    const shown = async (given, values = {}) => {
      await scripted("played", { values, result: { content: [{ type: "text", text: "It is there." }], structuredContent: given } });
      await until(async () => (await title()) !== "", "the answer");
      return card().locator("body").innerText();
    };
    const { next_step: _, ...lacking } = states.unknown, long = "A".repeat(2e6);
    assert.match(await shown({ ...states.played, outputs: { a: 1 } }), /It is there/);
    assert.match(await shown({ ...states.failed, warnings: 3 }), /It is there/);
    assert.match(await shown(lacking), /may exist and be billed/);
    assert.ok((await shown({ ...states.failed, about: long, warnings: [long] })).length < 10_000);
    assert.ok((await shown(states.failed, { prompt: long })).length < 10_000);
  },
  async "no news is said, and asked for again"() {
    await scripted("running", { answers: { list_tasks: { structuredContent: { tasks: [] } } } });
    await until(async () => /No news/.test(await card().locator("#said").innerText()), "the sentence");
    await picture("no-news");
    await until(async () => (await calls()).filter(each => each.name === "get_task").length === 2, "the second try");
  },
  async "the host changes its theme and its colours, and copies where it may"() {
    await scripted("played", { sandbox: "allow-scripts allow-same-origin" });
    await context.grantPermissions(["clipboard-write", "clipboard-read"]);
    await page.evaluate(() => host.change({ theme: "dark", styles: { variables: { "--color-text-primary": "rgb(1, 200, 3)" } } }));
    const look = () => card().locator("body").evaluate(each => [getComputedStyle(each).color, getComputedStyle(each).colorScheme]);
    await until(async () => (await look()).join() === "rgb(1, 200, 3),dark", "the new colours");
    await card().getByRole("button", { name: "Copy reference" }).click();
    await until(async () => await card().locator("#said").innerText() === "Copied.", "the copy");
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "output:heron.mp4");
    assert.ok((await heard("ui/notifications/size-changed")).length >= 1);
  },
};

// ---- all of it
let wrong = 0;
try {
  await until(() => log.includes("listens on"), "the server to start");
  await page.goto(hostUrl);
  const { pointing } = await page.evaluate(url => host.connect(url), `http://127.0.0.1:${port}/mcp`);
  assert.ok(pointing.includes("get_task") && pointing.includes("generate_flf2v"), `tools with the card: ${pointing}`);
  for (const [name, play] of Object.entries(scenes)) {
    if (!name.includes(process.argv[4] || "")) continue;
    try {
      await play();
      assert.deepEqual(complaints, [], "the console says");
      console.log(`ok    ${name}`);
    } catch (error) {
      wrong += 1;
      console.log(`WRONG ${name}\n      ${error.stack}`);
      await picture(`wrong-${wrong}`).catch(() => {});
    }
    complaints.length = 0;
  }
  await page.evaluate(() => host.close());
  const ours = [hostUrl, sandbox, `http://127.0.0.1:${port}/mcp`, "data:", "about:", "https://replicate.delivery/", "https://results.example.net/"];
  const strange = requests.filter(each => !ours.some(start => each.startsWith(start)));
  assert.deepEqual(strange, [], "asked of the network");
} finally {
  await browser.close();
  server.kill("SIGTERM");
  await until(() => server.exitCode !== null || server.signalCode !== null, "the server to end");
  results.close();
  sandboxServer.close();
  hostServer.close();
  rmSync(state, { recursive: true, force: true });
}
console.log(wrong ? `${wrong} scenes are wrong` : `all right; the screenshots are in ${screens}`);
process.exit(wrong ? 1 : 0);
