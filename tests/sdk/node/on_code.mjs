// Checks of code_interpreter: its calls streamed and polled, what it draws and writes, what it is given.
import { all, bare, outputsFor, WEATHER } from './subject.mjs';

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

const PARALLEL = `\
python:
    import base64, pathlib
    for name in 'ab':
        pathlib.Path(f'/mnt/data/{name}.png').write_bytes(base64.b64decode('${PIXEL}'))
    'é 你好 🎉'
python: print('two'); 1/0
call: weather {}
---
say: done`;

// How many deltas code and logs come in is nothing a client can rely on.
const COUNTED_BY_PIECES = ['event', 'run_step_delta', 'tool_call_delta'];

const tools = [{ type: 'code_interpreter' }];
const coder = async (on, ...more) => (await on.assistants.create({ model: 'rehearsal', tools: [...tools, ...more] })).id;
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

  async stream_parallel_code(on) {
    const seen = await on.streamed(PARALLEL, { assistant_id: await coder(on, WEATHER) });
    const [step] = await all(on.stepList(seen.run.id, seen.run.thread_id));
    const [first, second, called] = step.step_details.tool_calls;
    const [failed] = second.code_interpreter.outputs;
    const drawn = first.code_interpreter.outputs.filter((output) => output.image).map((output) => output.image.file_id);
    const outputs = { tool_outputs: outputsFor(seen.run, 'sunny') };
    const done = await on.of(on.runs, 'submitToolOutputsAndPoll', seen.run.id, seen.run.thread_id, outputs);
    const [message] = await all(on.messages.list(done.thread_id, { run_id: done.id }));
    return {
      status: [seen.run.status, done.status],
      asked: seen.run.required_action.submit_tool_outputs.tool_calls.map((call) => call.function.name),
      created: seen.counts.tool_call_created,
      printed: [first.code_interpreter.outputs[0].logs, failed.logs.trimEnd().split('\n').at(-1)],
      outputs: first.code_interpreter.outputs.map((output) => output.type),
      function: [called.type, called.function.output],
      snapshots: JSON.stringify(bare(seen.steps[0].step_details)) === JSON.stringify(bare(step.step_details)),
      shown: message.content.map((part) => part.type),
      'in order': message.content.slice(0, 2).map((part) => part.image_file.file_id).join() === drawn.join(),
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
