"use strict";
// The host, spoken to in JSON-RPC over postMessage, as the MCP Apps specification of 2026-01-26 has it.
const pending = new Map();
let host = {}, context = {}, alive = true, lastId = 0, told = "", timer = 0;

const post = message => parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
const notify = (method, params = {}) => post({ method, params });
const call = (name, values) => request("tools/call", { name, arguments: values });
function request(method, params) {
  return new Promise((resolve, reject) => {
    pending.set(++lastId, { resolve, reject });
    post({ id: lastId, method, params });
  });
}

addEventListener("message", event => {
  const message = event.data || {}, { id, method, error } = message;
  if (event.source !== parent || message.jsonrpc !== "2.0") return;
  if (method === undefined) {
    const waiting = pending.get(id);
    pending.delete(id);
    if (waiting && error) waiting.reject(new Error(error.message));
    else if (waiting) waiting.resolve(message.result || {});
  } else if (id === undefined) {
    hear(method.replace("ui/notifications/", ""), message.params || {});
  } else if (method === "ui/resource-teardown" || method === "ping") {
    if (method !== "ping") end();
    post({ id, result: {} });
  } else {
    post({ id, error: { code: -32601, message: "Method not found" } });
  }
});

function hear(what, params) {
  if (what === "tool-input") {
    asked = params.arguments || {};
    for (const each of all()) each.draw();
  } else if (what === "tool-result") {
    failures = 0;
    begun(params);
    poll();
  } else if (what === "tool-cancelled") {
    stopped(params.reason);
  } else if (what === "host-context-changed") {
    dress(params);
  }
}

function dress(changed) {
  context = { ...context, ...changed };
  const root = document.documentElement, { theme, styles = {} } = context;
  if (theme) root.style.colorScheme = theme;
  for (const [name, value] of Object.entries(styles.variables || {}))
    if (value && name.startsWith("--")) root.style.setProperty(name, value);
}

const sizes = new ResizeObserver(() => {
  const width = Math.ceil(innerWidth), height = Math.ceil(document.body.getBoundingClientRect().height);
  if (told === `${width} ${height}`) return;
  told = `${width} ${height}`;
  notify("ui/notifications/size-changed", { width, height });
});

function begin() {
  request("ui/initialize", {
    protocolVersion: "2026-01-26", appInfo: { name: "keyframe-task", version: "1" },
    appCapabilities: { availableDisplayModes: ["inline"] },
  }).then(answer => {
    host = answer.hostCapabilities || {};
    dress(answer.hostContext || {});
    notify("ui/notifications/initialized");
    sizes.observe(document.body);
  }).catch(error => plain(`The host refused the card: ${error.message}`, true));
}

function end() {
  alive = false;
  clearTimeout(timer);
  clearInterval(ticking);
  sizes.disconnect();
  for (const video of document.querySelectorAll("video")) video.pause();
}
