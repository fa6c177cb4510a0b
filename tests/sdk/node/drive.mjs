// Drives a live Threadmill with the official Node SDK; prints what each check saw as one JSON object.
//   node drive.mjs SERVER_URL BACKSTAGE_URL 4|7 openai azure
import { readFileSync } from 'node:fs';

import { checks as code } from './on_code.mjs';
import { checks as files } from './on_files.mjs';
import { checks as objects } from './on_objects.mjs';
import { checks as runs } from './on_runs.mjs';
import { checks as streams } from './on_streams.mjs';
import { checks as trouble } from './on_trouble.mjs';
import { Subject } from './subject.mjs';

const [url, backstage, major, ...kinds] = process.argv.slice(2);
const { OpenAI, AzureOpenAI, toFile } = await import(`openai-${major}`);
const { version } = JSON.parse(readFileSync(new URL(`node_modules/openai-${major}/package.json`, import.meta.url)));

const connects = {
  openai: (baseURL, apiKey, options) => new OpenAI({ baseURL, apiKey, maxRetries: 0, ...options }),
  azure: (baseURL, apiKey, options) => new AzureOpenAI({
    endpoint: baseURL.replace(/\/(v1|openai)$/, ''), apiKey, apiVersion: '2024-05-01-preview', maxRetries: 0, ...options,
  }),
};

async function drive(kind) {
  const connect = connects[kind];
  const on = new Subject(connect(url, 'test-key'), backstage, connect, Number(major), toFile);
  await on.start();
  const report = {};
  for (const [name, check] of Object.entries({ ...runs, ...streams, ...objects, ...files, ...code, ...trouble })) {
    process.stderr.write(`${kind} ${name}\n`); // the last one told is the one that hangs
    try {
      report[name] = { seen: await check(on) };
    } catch (error) {
      report[name] = { error: error.stack };
    }
  }
  return report;
}

const report = {};
for (const kind of kinds) report[kind] = await drive(kind);
console.log(JSON.stringify({ version, report }));
