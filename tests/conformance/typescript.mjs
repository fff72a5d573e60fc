// The official TypeScript client, which checks structured content by ajv. It is told on its standard input what to do,
// a line each, and answers in lines.
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, key] = process.argv.slice(2);
const say = (value) => console.log(JSON.stringify(value));
const client = new Client({ name: "test", version: "1" });
const headers = { Authorization: `Bearer ${key}` };
const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
await client.connect(transport);
say({ revision: transport.protocolVersion, server: client.getServerVersion().name });

async function answer(asked) {
  if (!asked.tool) return { tools: (await client.listTools()).tools };
  const result = await client.callTool({ name: asked.tool, arguments: asked.arguments });
  const texts = result.content.map((part) => part.text);
  return { is_error: result.isError ?? false, structured: result.structuredContent, texts };
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    say(await answer(JSON.parse(line)));
  } catch (error) {
    say({ failed: String(error) });
  }
}
await client.close();
