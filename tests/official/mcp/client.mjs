// Drives an MCP server over stdio with an official client. Arguments: the folder of the installed
// clients, and the settings as JSON. Prints what came of it as JSON.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const [folder, text] = process.argv.slice(2);
const settings = JSON.parse(text);
const from = createRequire(join(folder, 'package.json'));
const load = (name) => import(pathToFileURL(from.resolve(name)).href);

const questions = [];
const answer = (request) => {
  questions.push(request.params.message);
  return settings.answer === 'accept' ? { action: 'accept', content: {} } : { action: settings.answer };
};
const capabilities = settings.answer ? { elicitation: { form: {} } } : {};
const info = { name: 'official client', version: '1' };

let client, Transport;
if (settings.way === 'v1') {
  const { Client } = await load('@modelcontextprotocol/sdk/client/index.js');
  const { ElicitRequestSchema } = await load('@modelcontextprotocol/sdk/types.js');
  ({ StdioClientTransport: Transport } = await load('@modelcontextprotocol/sdk/client/stdio.js'));
  client = new Client(info, { capabilities });
  if (settings.answer) client.setRequestHandler(ElicitRequestSchema, async (request) => answer(request));
} else {
  const { Client } = await load('@modelcontextprotocol/client');
  ({ StdioClientTransport: Transport } = await load('@modelcontextprotocol/client/stdio'));
  const mode = settings.way === 'modern' ? { pin: '2026-07-28' } : 'legacy';
  client = new Client(info, { capabilities, versionNegotiation: { mode } });
  if (settings.answer) client.setRequestHandler('elicitation/create', async (request) => answer(request));
}

const { command, args, cwd, env } = settings;
const transport = new Transport({ command, args, cwd, env, stderr: 'ignore' });
let version;
transport.setProtocolVersion = (negotiated) => { version = negotiated; };
await client.connect(transport);
version = client.getNegotiatedProtocolVersion?.() ?? version;
// The listing lets the client check every answer against its tool's output schema.
const { tools } = await client.listTools();
const results = [];
for (const [name, input] of settings.calls) {
  results.push(await client.callTool({ name, arguments: input }));
}
await client.close();
console.log(JSON.stringify({ version, tools, results, questions }));
