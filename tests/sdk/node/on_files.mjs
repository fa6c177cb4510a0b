// Checks of files: what is uploaded in every way a client has, listed, read back, shown to a thread.
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { all } from './subject.mjs';

const NOTES = Buffer.from('one\r\ntwo \u2028 three\n');
const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');
const PURPOSES = ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'];

const image = (file_id, more) => ({ type: 'image_file', image_file: { file_id, ...more } });
const code = (...file_ids) => ({ code_interpreter: { file_ids } });

// A file of so many bytes with a name.
const upload = async (on, name, bytes, purpose, more) =>
  on.files.create({ file: await on.toFile(Buffer.from(bytes), name), purpose, ...more });

const content = async (on, id) => Buffer.from(await (await on.files.content(id)).arrayBuffer());

async function inFolder(work) {
  const folder = mkdtempSync(join(tmpdir(), 'threadmill-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const held = async (on, at) => (await on.threads.retrieve(at)).tool_resources.code_interpreter.file_ids;

export const checks = {
  async files_from_anything(on) {
    const made = await inFolder(async (folder) => {
      const path = join(folder, 'notes.txt');
      writeFileSync(path, NOTES);
      const ways = {
        'a path': await on.toFile(createReadStream(path)),
        'a stream': createReadStream(path),
        named: await on.toFile(NOTES, 'Übersicht 世界.txt'),
        typed: await on.toFile(NOTES, 'plan.md', { type: 'text/markdown' }),
        'in memory': new File([NOTES], 'memory.txt'),
        'without a name': await on.toFile(NOTES),
      };
      const files = {};
      for (const [way, file] of Object.entries(ways)) files[way] = await on.files.create({ file, purpose: 'user_data' });
      return files;
    });
    const files = Object.values(made);
    const contents = await Promise.all(files.map((one) => content(on, one.id)));
    return {
      ...Object.fromEntries(Object.entries(made).map(([way, one]) => [way, one.filename])),
      'same bytes': contents.every((one) => one.equals(NOTES)),
      sizes: [...new Set(files.map((one) => one.bytes))],
    };
  },

  async files(on) {
    const made = await upload(on, 'a.txt', NOTES, 'user_data');
    const found = await on.files.retrieve(made.id);
    const gone = await on.delete(on.files, made.id);
    const purposes = [];
    for (const purpose of PURPOSES) purposes.push((await upload(on, 'b', 'b', purpose)).purpose);
    return {
      made: [made.object, made.filename, made.bytes, made.purpose, made.status],
      found: JSON.stringify(found) === JSON.stringify(made),
      gone: [gone.deleted, gone.object, gone.id === made.id],
      after: await on.raised(() => on.files.retrieve(made.id)),
      again: await on.raised(() => on.delete(on.files, made.id)),
      purposes,
    };
  },

  async files_that_expire(on) {
    const after = (seconds) => ({ expires_after: { anchor: 'created_at', seconds } });
    const made = await upload(on, 'a', 'a', 'batch', after(3600));
    return {
      lives: made.expires_at - made.created_at,
      'too soon': await on.raised(() => upload(on, 'a', 'a', 'batch', after(3599))),
    };
  },

  async files_page_by_themselves(on) {
    const server = await on.call('/servers');
    const { files } = on.connect(server.url, 'any');
    for (let number = 0; number < 5; number += 1) {
      const file = await on.toFile(Buffer.from('x'), `${number}.txt`);
      await files.create({ file, purpose: number % 2 ? 'batch' : 'user_data' });
    }
    const pages = [];
    for await (const page of (await files.list({ limit: 2 })).iterPages()) pages.push(page.data.length);
    const names = async (query) => (await all(files.list(query))).map((file) => file.filename);
    const [down, up] = [await names({ limit: 2 }), await names({ limit: 3, order: 'asc' })];
    return {
      pages: pages.filter((size) => size > 0),
      'newest first': down,
      turned: up.join() === [...down].reverse().join(),
      'by purpose': await names({ purpose: 'batch' }),
      'bad limit': await on.raised(() => files.list({ limit: 10001 })),
      'bad cursor': (await on.raised(() => files.list({ after: 'file-none' }))).slice(0, 2),
    };
  },

  async file_contents(on) {
    const sent = Buffer.from([...Array(256 * 4000).keys()].map((number) => number % 256));
    const made = await upload(on, 'big.bin', sent, 'user_data');
    const words = await upload(on, 'a.json', '{"a": "é"}', 'user_data');
    const kept = await upload(on, 'a.txt', NOTES, 'assistants');
    const whole = await on.files.content(made.id);
    const pieces = await all((await on.files.content(made.id)).body);
    const copy = await inFolder(async (folder) => {
      const { body } = await on.files.content(made.id);
      await pipeline(body instanceof Readable ? body : Readable.fromWeb(body), createWriteStream(join(folder, 'copy')));
      return readFileSync(join(folder, 'copy'));
    });
    return {
      whole: Buffer.from(await whole.arrayBuffer()).equals(sent),
      length: whole.headers.get('content-length'),
      type: whole.headers.get('content-type'),
      'in pieces': Buffer.concat(pieces).equals(sent),
      'to disk': copy.equals(sent),
      text: await (await on.files.content(words.id)).text(),
      'of assistants': await on.raised(() => on.files.content(kept.id)),
      missing: await on.raised(() => on.files.content('file-none')),
    };
  },

  async wait_for_processing(on) {
    const made = await upload(on, 'a.txt', NOTES, 'assistants');
    const ready = await on.files.waitForProcessing(made.id, { pollInterval: 10 });
    return { status: ready.status, same: ready.id === made.id };
  },

  async uploads_refused(on) {
    return {
      purpose: await on.raised(() => upload(on, 'a', 'a', 'world_domination')),
      parameter: await on.raised(() => upload(on, 'a', 'a', 'batch', { colour: 'red' })),
      'no such file': await on.raised(() => on.files.retrieve('file-none')),
    };
  },

  async messages_with_files(on) {
    const { id: notes } = await upload(on, 'notes.txt', NOTES, 'assistants');
    const { id: picture } = await upload(on, 'pixel.png', PIXEL, 'vision');
    const { id: text } = await upload(on, 'a.txt', NOTES, 'vision');
    const attachments = [{ file_id: notes, tools: [{ type: 'code_interpreter' }] }];
    const message = { role: 'user', content: [{ type: 'text', text: 'say: seen' }, image(picture, { detail: 'low' })], attachments };
    const { id: at } = await on.threads.create({ messages: [message] });
    const say = (role, content, more) => on.messages.create(at, { role, content, ...more });
    const plain = await say('assistant', [image(picture)]);
    const [first] = await all(on.messages.list(at, { order: 'asc' }));
    const run = await on.runs.createAndPoll(at, { assistant_id: on.assistant, additional_messages: [message] });
    const before = await held(on, at);
    await on.delete(on.files, notes);
    return {
      parts: first.content.map((part) => part.type),
      detail: [first.content[1].image_file.detail, plain.content[0].image_file.detail],
      attachments: JSON.stringify(first.attachments) === JSON.stringify(attachments),
      'held for the thread': before.join() === notes,
      answer: [run.status, (await on.messages.list(at, { limit: 1 })).data[0].content[0].text.value],
      'held when the file is gone': await held(on, at),
      'no such file': await on.raised(() => say('user', 'x', { attachments })),
      'no such picture': await on.raised(() => say('user', [image('file-none')])),
      'no picture': await on.raised(() => say('user', [image(text)])),
    };
  },

  async assistants_with_files(on) {
    const { id: one } = await upload(on, 'a.csv', 'a,b', 'assistants');
    const tools = [{ type: 'code_interpreter' }];
    const made = await on.assistants.create({ model: 'rehearsal', tools, tool_resources: code(one) });
    const changed = await on.assistants.update(made.id, { tool_resources: code() });
    const thread = await on.threads.create({ tool_resources: code(one) });
    return {
      made: made.tool_resources.code_interpreter.file_ids.join() === one,
      changed: changed.tool_resources.code_interpreter.file_ids,
      thread: thread.tool_resources.code_interpreter.file_ids.join() === one,
      missing: await on.raised(() => on.threads.create({ tool_resources: code('file-none') })),
    };
  },
};
