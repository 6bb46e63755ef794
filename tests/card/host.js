// A host page: an MCP client of the real server and the official bridge, with the card in its sandbox.
import { AppBridge, PostMessageTransport, RESOURCE_MIME_TYPE, getToolUiResourceUri }
  from "@modelcontextprotocol/ext-apps/app-bridge";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const WHO = { name: "card-check", version: "1" };
const EXTENSIONS = { "io.modelcontextprotocol/ui": { mimeTypes: [RESOURCE_MIME_TYPE] } };
const EVERYTHING = {
  openLinks: {}, serverTools: {}, message: { text: {} }, updateModelContext: { text: {} }, logging: {},
};
let client, tools, bridge, frame;
const heard = [];

addEventListener("message", event => {
  const { method, params } = event.data || {};
  if (event.source === frame?.contentWindow && method) heard.push({ method, params });
});

async function connect(url) {
  client = new Client(WHO, { capabilities: { extensions: EXTENSIONS } });
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  tools = new Map((await client.listTools()).tools.map(tool => [tool.name, tool]));
  return { pointing: [...tools.values()].filter(getToolUiResourceUri).map(tool => tool.name) };
}

// `result`: what the tool answered, where it is not to be called. `answers`: by tool, in the server's place.
async function show({ tool, values = {}, result, answers, context = {}, capabilities = EVERYTHING, width = 640, sandbox }) {
  await close();
  const { contents: [page] } = await client.readResource({ uri: getToolUiResourceUri(tools.get(tool)) });
  const { csp, permissions } = page._meta.ui;
  frame = document.createElement("iframe");
  Object.assign(frame.style, { width: `${width}px`, height: "40px" });
  document.body.style.background = context.theme === "dark" ? "#111" : "#fff";
  const isReady = new Promise(resolve => addEventListener("message", function listen(event) {
    if (event.source !== frame.contentWindow || event.data?.method !== "ui/notifications/sandbox-proxy-ready") return;
    removeEventListener("message", listen);
    resolve();
  }));
  frame.src = `${window.SANDBOX}/?csp=${encodeURIComponent(JSON.stringify(csp))}`;
  frame.allow = "clipboard-write";
  document.body.append(frame);
  await isReady;
  bridge = new AppBridge(answers ? null : client, WHO, capabilities, {
    hostContext: { theme: "light", toolInfo: { tool: tools.get(tool) }, ...context },
  });
  if (answers) bridge.oncalltool = async params => {
    const answer = answers[params.name];
    if (answer === undefined) throw new Error("no connection to the server");
    return { content: [{ type: "text", text: "" }], ...answer };
  };
  bridge.onopenlink = async () => ({});
  bridge.onmessage = async () => ({});
  bridge.onupdatemodelcontext = async () => ({});
  bridge.onsizechange = ({ height }) => { frame.style.height = `${height}px` };
  const isInitialized = new Promise(resolve => { bridge.oninitialized = resolve });
  await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
  await bridge.sendSandboxResourceReady({ html: page.text, csp, permissions, sandbox });
  await isInitialized;
  await bridge.sendToolInput({ arguments: values });
  await bridge.sendToolResult(result ?? await client.callTool({ name: tool, arguments: values }));
}

async function close() {
  if (!frame) return;
  await bridge.teardownResource({});
  await bridge.close();
  frame.remove();
  frame = null;
  heard.length = 0;
}

window.host = { connect, show, close, heard: () => heard, change: each => bridge.sendHostContextChange(each) };
