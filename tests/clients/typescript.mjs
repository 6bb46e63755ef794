// Does what it reads, a line of JSON each, with the official TypeScript client. `with_typescript.py` talks to it.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const stage = JSON.parse(process.env.KEYFRAME_TEST_STAGE);
const installed = createRequire(`${stage.installed}/package.json`);
const load = (name) => import(pathToFileURL(installed.resolve(name)).href);
const { Client, StreamableHTTPClientTransport } = await load('@modelcontextprotocol/client');
const { StdioClientTransport } = await load('@modelcontextprotocol/client/stdio');

const [command, ...args] = stage.command;
const transport = stage.url
  ? new StreamableHTTPClientTransport(new URL(stage.url))
  : new StdioClientTransport({ command, args, env: stage.environment, cwd: stage.folder });
const client = new Client({ name: 'keyframe-tests', version: '1' }, { versionNegotiation: { mode: stage.era } });
await client.connect(transport);
const { tools } = await client.listTools();
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
say({ tools: tools.length, protocol: client.getNegotiatedProtocolVersion() });
for await (const line of createInterface({ input: process.stdin })) {
  const { tool, arguments: given } = JSON.parse(line);
  try {
    say(await client.callTool({ name: tool, arguments: given }));
  } catch (error) {
    say({ content: [{ type: 'text', text: `threw ${error}` }], isError: true, threw: true });
  }
}
await client.close();
