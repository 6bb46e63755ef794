// What the tools answered, and asking again how it goes: one long call at a time, none while nobody looks.
const WAIT_SECONDS = 25, LONGEST_PAUSE = 60, MOST_FAILURES = 6;
const UNSHOWN = "The tool gave no answer that can be shown.", IS_FULL = "{{toolset}}" === "full";
const card = document.getElementById("card"), said = document.getElementById("said"), cards = new Map();
let asked = {}, failures = 0, isAsking = false, isLookedUp = false;
const all = () => [...cards.values()];
const textOf = answer => (answer.content || []).map(each => each.text || "").join("\n");

// what cannot be laid out is at least said
function begun(answer) {
  try {
    show(answer);
  } catch {
    cards.clear();
    plain(textOf(answer) || UNSHOWN, answer.isError);
  }
}
function show(answer) {
  const data = answer.structuredContent || {}, tasks = data.tasks || (data.status ? [data] : []);
  if (answer.isError || !tasks.length) {
    plain(textOf(answer) || UNSHOWN, answer.isError);
    return;
  }
  for (const task of tasks) {
    const known = cards.get(task.task_id);
    if (known) known.update(task); else cards.set(task.task_id, new Card(task));
  }
  lay();
  lookUp();
}
function plain(text, isError) {
  if (cards.size) return say(text);
  const title = make("h2", isError ? "failed" : "", isError ? "It did not work" : "The answer");
  card.replaceChildren(make("section", "task", "", title, make("p", "about", text)));
}
function stopped(reason) {
  const why = reason ? ` (${reason})` : "";
  plain(`The call was stopped${why}. A task it had started goes on: ask the assistant to look for it.`);
}

function lay() {
  const [first, ...more] = all();
  if (!more.length) {
    if (card.firstChild !== first.root) card.replaceChildren(first.root);
    return;
  }
  if (card.querySelectorAll("details").length <= more.length) card.replaceChildren(...all().map(row));
  for (const each of all()) {
    if (each.title.textContent !== each.status.textContent) each.title.textContent = each.status.textContent;
    each.title.className = each.status.className;
    each.line.textContent = [about(each.task), each.task.model].filter(Boolean).join(" \u00b7 ");
  }
}
function row(each) {
  each.title = make("h2", "", "");
  each.title.ariaLive = "polite";
  each.line = make("p", "dim", "");
  return make("details", "", "", make("summary", "", "", each.title, each.line), each.root);
}
// A prompt is in the arguments of the call that made the task; of other tasks the list knows it.
async function lookUp() {
  if (isLookedUp || !IS_FULL || !host.serverTools || asked.prompt || asked.prompt_start) return;
  isLookedUp = true;
  try {
    const { structuredContent } = await call("list_tasks", { limit: 100 });
    for (const { task_id: id, about } of structuredContent.tasks)
      if (about && cards.has(id)) cards.get(id).update({ ...cards.get(id).task, about });
    lay();
  } catch { /* the card does without */ }
}

async function poll() {
  clearTimeout(timer);
  const ids = all().map(each => each.task).filter(isOpen).map(task => task.task_id);
  if (isAsking || !alive || !ids.length || document.hidden) return;
  if (!host.serverTools) return say("This host does not let the card ask again: ask the assistant how it goes.");
  isAsking = true;
  try {
    const which = ids.length > 1 ? { task_ids: ids.slice(0, 50) } : { task_id: ids[0] };
    const answer = await call("get_task", { ...which, wait_seconds: WAIT_SECONDS });
    if (answer.isError) throw new Error(textOf(answer));
    if (failures) said.hidden = true;
    failures = 0;
    if (alive) show(answer);
  } catch (error) {
    troubled(error.message);
  }
  isAsking = false;
  const pause = failures ? Math.min(LONGEST_PAUSE, 3 * 2 ** failures) : 1;
  if (failures < MOST_FAILURES) timer = setTimeout(poll, 1000 * pause);
}
function troubled(why) {
  const goesOn = ++failures < MOST_FAILURES;
  say(`No news (${why}). ${goesOn ? "It is asked again by itself." : ""}`);
  if (!goesOn) said.append(button("Ask again", () => {
    failures = 0;
    said.hidden = true;
    poll();
  }));
}

document.addEventListener("visibilitychange", poll);
const ticking = setInterval(() => {
  for (const each of all()) if (isOpen(each.task)) each.tick();
}, 1000);
begin();
