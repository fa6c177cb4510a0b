// Checks of code_interpreter: its calls streamed and polled, what it draws and writes, what it is given.
import { all } from './subject.mjs';

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const DRAW = `\
say: Let me draw.
python:
    import base64, pathlib
    pathlib.Path('/mnt/data/a.csv').write_text('a,b')
    pathlib.Path('/mnt/data/a.png').write_bytes(base64.b64decode('${PIXEL}'))
    print('drawn')
---
say: Here is [it](sandbox:/mnt/data/a.csv).`;

// How many deltas code and logs come in is nothing a client can rely on.
const COUNTED_BY_PIECES = ['event', 'run_step_delta', 'tool_call_delta'];

const tools = [{ type: 'code_interpreter' }];
const coder = async (on) => (await on.assistants.create({ model: 'rehearsal', tools })).id;
const content = async (on, id) => Buffer.from(await (await on.files.content(id)).arrayBuffer()).toString('latin1');

function streamedCode(events) {
  const deltas = events.filter(({ event }) => event === 'thread.run.step.delta').map(({ data }) => data.delta.step_details);
  return deltas.flatMap((details) => details.tool_calls).map((call) => call.code_interpreter.input ?? '').join('');
}

export const checks = {
  async stream_code(on) {
    const seen = await on.streamed(DRAW, { assistant_id: await coder(on) });
    const [image, { text }] = seen.messages.at(-1).content;
    const [link] = text.annotations;
    const steps = await all(on.stepList(seen.run.id, seen.run.thread_id, { order: 'asc' }));
    const [{ code_interpreter: ran }] = steps.find((step) => step.type === 'tool_calls').step_details.tool_calls;
    const drawn = await on.files.retrieve(image.image_file.file_id);
    return {
      events: seen.names,
      callbacks: Object.fromEntries(Object.entries(seen.counts).filter(([name]) => !COUNTED_BY_PIECES.includes(name))),
      steps: steps.map((step) => step.type),
      code: ran.input === streamedCode(seen.events),
      outputs: ran.outputs.map((output) => output.logs ?? output.type),
      picture: [drawn.purpose, (await content(on, drawn.id)).slice(1, 4) === 'PNG'],
      'same picture': ran.outputs.at(-1).image.file_id === drawn.id,
      link: [link.type, link.text, text.value.slice(link.start_index, link.end_index) === link.text],
      linked: await content(on, link.file_path.file_id),
      differences: await seen.differences(on),
    };
  },

  async code_and_poll(on) {
    const file = await on.files.create({ file: await on.toFile(Buffer.from('may,40'), 'sales.csv'), purpose: 'assistants' });
    const script = "python:\n    sold = open('/mnt/data/sales.csv').read()\n    print(sold)\n---\nsay: {{output}}";
    const message = { role: 'user', content: script, attachments: [{ file_id: file.id, tools }] };
    const { id: at } = await on.threads.create({ messages: [message] });
    const assistant_id = await coder(on);
    const run = await on.runs.createAndPoll(at, { assistant_id });
    await on.messages.create(at, { role: 'user', content: 'python: sold.upper()\n---\nsay: {{output}}' });
    const again = await on.runs.createAndPoll(at, { assistant_id });
    return {
      statuses: [run.status, again.status],
      read: await on.texts(at, { run_id: run.id }),
      kept: await on.texts(at, { run_id: again.id }),
    };
  },
};
