// What a desktop host runs for a bundle: `node host.mjs MODULES FOLDER CONFIG` prints command, arguments and environment,
// filled in by the official library with what a person chose.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, sep } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, folder, config] = process.argv.slice(2);
const library = createRequire(join(modules, "any.js")).resolve("@anthropic-ai/mcpb");
const { getMcpConfigForManifest } = await import(pathToFileURL(library).href);
const chosen = await getMcpConfigForManifest({
  manifest: JSON.parse(readFileSync(join(folder, "manifest.json"), "utf-8")),
  extensionPath: folder,
  systemDirs: { HOME: process.env.HOME ?? "" },
  userConfig: JSON.parse(config),
  pathSeparator: sep,
});
process.stdout.write(JSON.stringify(chosen));
