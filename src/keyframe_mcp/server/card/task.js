// One task: what is said of it, and what can be done with it. Data is only ever set as text.
const SETTLED = ["succeeded", "failed", "cancelled", "unknown"];
const STATUS = {
  queued: "Waiting to be sent", submitting: "Being sent to the provider", running: "Being made",
  saving: "Made; being saved", succeeded: "Done", failed: "Failed", cancelled: "Stopped",
  unknown: "Unknown: it may exist and be billed", dry_run: "Checked and priced; nothing was started",
};
const MODE = {
  flf2v: "video from first and last image", i2v: "video from an image", t2v: "video from words",
  animation: "animation from one prompt to another",
};
const isOpen = task => !SETTLED.includes(task.status) && task.status !== "dry_run";

const cut = text => `${text}`.length > 3000 ? `${text}`.slice(0, 3000) + "\u2026" : text;
function make(tag, className, text, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = cut(text);
  element.append(...children);
  return element;
}
function button(text, act) {
  const element = make("button", "", text);
  element.type = "button";
  element.onclick = act;
  return element;
}
function say(text, value) {
  said.textContent = text;
  said.hidden = false;
  if (value === undefined) return;
  const field = make("input", "", "");
  Object.assign(field, { readOnly: true, value, ariaLabel: "To copy by hand" });
  said.append(field);
  field.focus();
  field.select();
}
async function copy(value) {
  try {
    await navigator.clipboard.writeText(value);
    say("Copied.");
  } catch {
    say("Copy it from here:", value);
    if (document.execCommand("copy")) say("Copied.");
  }
}
// the host may refuse with an error, or with a result that says so
async function tell(method, params, done, refused, value) {
  try {
    if ((await request(method, params)).isError) throw new Error();
    if (done) say(done);
  } catch {
    say(refused, value);
  }
}

function span(seconds) {
  const whole = Math.max(0, Math.round(seconds)), minutes = Math.floor(whole / 60);
  if (whole < 60) return `${whole} s`;
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
function price(cost) {
  if (!cost) return "";
  const usd = cost.estimated_usd;
  if (usd === undefined) return `not known (${cost.basis})`;
  if (!usd) return cost.basis === "nothing was charged" ? cost.basis : "free";
  return `about $${+usd.toFixed(4)} (${cost.basis})`;
}
function about(task) {
  if (task.about || cards.size > 1) return cut(task.about || "");
  return cut(asked.prompt || [asked.prompt_start, asked.prompt_end].filter(Boolean).join(" \u2192 "));
}
function shape({ width, height, duration, fps }) {
  const size = width && `${width}\u00d7${height}`, rate = fps && `${+fps.toFixed(2)} fps`;
  return [size, duration && `${+duration.toFixed(2)} s`, rate].filter(Boolean).join(", ");
}

class Card {
  constructor(task) {
    this.status = make("h2", "", "");
    this.status.ariaLive = "polite";
    this.bar = make("progress", "", "");
    this.bar.ariaLabel = "Progress";
    [this.about, this.facts, this.notes] = [make("p", "about", ""), make("dl", "", ""), make("div", "notes", "")];
    [this.outputs, this.buttons] = [make("div", "", ""), make("div", "buttons", "")];
    const parts = [this.status, this.bar, this.about, this.outputs, this.notes, this.facts, this.buttons];
    this.root = make("section", "task", "", ...parts);
    this.update(task);
  }
  update(task) {
    const { progress, error, native_status, ...known } = this.task || {};  // of these, silence is news
    this.task = { ...known, ...task };
    this.draw();
  }
  draw() {
    const task = this.task, { status, progress } = task, open = isOpen(task);
    const share = open && progress !== undefined ? ` ${Math.round(progress * 100)} %` : "";
    const words = (STATUS[status] || status) + share;
    if (this.status.textContent !== words) this.status.textContent = words;
    this.status.className = status;
    this.bar.hidden = !open;
    if (progress === undefined) this.bar.removeAttribute("value"); else this.bar.value = progress;
    this.about.textContent = about(task);
    this.about.hidden = !about(task);
    this.notes.replaceChildren(...this.listNotes());
    this.showOutputs(task.outputs || []);
    this.tick();
    if (!open) this.asking = false;
    if (!this.asking) this.showButtons(open);
  }
  tick() {
    const task = this.task, open = isOpen(task), from = Date.parse(task.created_at);
    const goesOn = open || task.status === "unknown", to = goesOn ? Date.now() : Date.parse(task.updated_at);
    const facts = [
      ["Model", task.model], ["Chosen because", task.why], ["Makes", MODE[task.mode] || task.mode],
      ["Provider says", open && task.native_status !== task.status && task.native_status],
      [goesOn ? "Since it was asked" : "Took", from && to && span((to - from) / 1000)],
      ["Drawn with", task.engine], ["Cost", price(task.cost)], ["Seed", task.seed], ["Task", task.task_id],
    ].filter(([, value]) => value || value === 0);
    if (this.drawn === (this.drawn = facts.join())) return;
    const lines = facts.map(([name, value]) => make("div", "", "", make("dt", "", name), make("dd", "", value)));
    this.facts.replaceChildren(...lines);
  }
  listNotes() {
    const { status, error, warnings = [], generative, deduplicated } = this.task;
    const step = (this.task.next_step || "").replace("Tell the user, who can settle", "You can settle");  // the user reads it
    const note = (kind, ...texts) =>
      make("div", `note ${kind}`, "", ...texts.filter(Boolean).map(text => make("p", "", text)));
    const notes = warnings.map(each => note("", each));
    if (["unknown", "dry_run"].includes(status)) notes.unshift(note(status, error && error.message, step));
    else if (error) notes.unshift(note("failed", error.message, error.fix));
    if (generative === false && !/not AI/.test(warnings)) notes.push(note("", "Drawn by a program; not AI video."));
    if (deduplicated) notes.push(make("p", "dim", "This request was there already; nothing was started."));
    return notes;
  }
  showOutputs(outputs) {
    if (this.shown === (this.shown = JSON.stringify(outputs))) return;
    this.outputs.replaceChildren(...outputs.map((each, place) => this.output(each, !place)));
  }
  output(output, isFirst) {
    const { url, file, reference } = output, web = /^https?:\/\//i.test(url);
    const buttons = make("div", "buttons", ""), note = make("p", "dim", shape(output));
    const box = make("div", "output", "", note, buttons);
    const refused = "The host did not open it. Copy the address from here:";
    if (web && host.openLinks) buttons.append(button("Open", () => tell("ui/open-link", { url }, "", refused, url)));
    if (web) buttons.append(button("Copy address", () => copy(url)));
    if (file) buttons.append(button("Copy path", () => copy(file)));
    if (reference) buttons.append(button("Copy reference", () => copy(reference)));
    const unplayed = why => {
      note.textContent = `${why}\n${shape(output)}`;
      if (isFirst) this.preview(box);
    };
    if (web) box.prepend(this.player(output, unplayed));
    else if (file) unplayed(`It is a file on the server's machine: ${file}`);
    return box;
  }
  player({ url, mime_type: type = "" }, unplayed) {
    const player = make(type.startsWith("image/") ? "img" : "video", "", "");
    Object.assign(player, { controls: true, playsInline: true, preload: "metadata", alt: "", ariaLabel: "The result" });
    player.onerror = () => {
      player.remove();
      unplayed("It cannot be played here: open it, or copy its address.");
    };
    player.src = url;
    return player;
  }
  // a contact sheet, asked for once, where the video itself cannot be played
  async preview(box) {
    if (this.previewed || !host.serverTools || this.task.status !== "succeeded") return;
    this.previewed = true;
    try {
      const { content } = await call("view_video", { source: `task:${this.task.task_id}`, size: "tiny" });
      const { data } = content.find(each => each.type === "image" && each.mimeType === "image/jpeg");
      const sheet = make("img", "", "");
      sheet.alt = "Frames of the video, in order";
      sheet.src = `data:image/jpeg;base64,${data}`;
      box.prepend(sheet);
    } catch { /* the text and the buttons say the rest */ }
  }
  showButtons(open) {
    const { status, task_id: id } = this.task, list = [];
    if (this.offered === (this.offered = status)) return;
    if (status === "succeeded" && (host.message || host.updateModelContext))
      list.push(button("Continue from the last frame", () => this.carryOn()));
    if (id) list.push(button("Copy task id", () => copy(id)));
    if (open && IS_FULL && host.serverTools) list.push(this.stop = button("Cancel", () => this.ask()));
    this.buttons.replaceChildren(...list);
  }
  carryOn() {
    const name = `task:${this.task.task_id}`, refused = "The host did not take it. Copy it into the conversation:";
    const text = `Continue the video ${name} from its last frame: generate_i2v with image=${name}.`;
    const content = [{ type: "text", text }];
    if (host.message) tell("ui/message", { role: "user", content }, "Sent to the conversation.", refused, text);
    else tell("ui/update-model-context", { content }, "The assistant knows: say what happens next.", refused, text);
  }
  ask() {
    this.asking = true;
    const keep = () => {
      this.asking = this.offered = false;
      this.draw();
      if (this.stop.isConnected) this.stop.focus();
    };
    const stop = button("Stop it", async () => {
      stop.disabled = true;
      try {
        const answer = await call("cancel_task", { task_id: this.task.task_id });
        if (answer.isError) say(textOf(answer)); else show(answer);
      } catch (error) {
        say(`It could not be asked for: ${error.message}`);
      }
      keep();
    });
    stop.className = "strong";
    const question = make("span", "", "Stop it? The provider may bill what it had begun.");
    this.buttons.replaceChildren(question, stop, button("Keep it", keep));
    this.buttons.onkeydown = event => { if (event.key === "Escape" && this.asking) keep() };
    stop.focus();
  }
}
