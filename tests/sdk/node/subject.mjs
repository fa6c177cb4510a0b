// The client a check drives. SDK 4 takes ids in order, SDK 5 and later take the parents' ids as named parameters.

export const WEATHER = {
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
};

const CALLBACKS = ['event', 'runStepCreated', 'runStepDelta', 'runStepDone', 'toolCallCreated', 'toolCallDelta',
  'toolCallDone', 'messageCreated', 'messageDelta', 'messageDone', 'textCreated', 'textDelta', 'textDone',
  'imageFileDone', 'end'];

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export class Subject {
  constructor(client, backstage, connect, major, toFile) {
    Object.assign(this, { client, backstage, connect, major, toFile });
    this.files = client.files;
    this.assistants = client.beta.assistants;
    this.threads = client.beta.threads;
    this.messages = client.beta.threads.messages;
    this.runs = client.beta.threads.runs;
    this.steps = client.beta.threads.runs.steps;
  }

  async start() {
    this.assistant = (await this.assistants.create({ model: 'rehearsal', tools: [WEATHER] })).id;
  }

  // A call about one object of a thread: (id, {thread_id, …body}, options) since SDK 5, (thread, id, body, options) before.
  of(resource, method, id, thread, body, options) {
    if (this.major < 5) return resource[method](...[thread, id, body, options].filter((one) => one !== undefined));
    return resource[method](id, { thread_id: thread, ...body }, options);
  }

  step(id, run, thread) {
    return this.major < 5 ? this.steps.retrieve(thread, run, id) : this.steps.retrieve(id, { thread_id: thread, run_id: run });
  }

  stepList(run, thread, query = {}) {
    return this.major < 5 ? this.steps.list(thread, run, query) : this.steps.list(run, { thread_id: thread, ...query });
  }

  delete(resource, id, thread) {
    const method = this.major < 5 ? 'del' : 'delete';
    return thread ? this.of(resource, method, id, thread) : resource[method](id);
  }

  async thread(script) {
    return (await this.threads.create({ messages: [{ role: 'user', content: script }] })).id;
  }

  poll(run, thread, options) {
    return this.major < 5 ? this.runs.poll(thread, run, options) : this.runs.poll(run, { thread_id: thread }, options);
  }

  async polled(script, fields = {}) {
    const at = await this.thread(script);
    return [at, await this.runs.createAndPoll(at, { assistant_id: this.assistant, ...fields })];
  }

  async texts(thread, query = {}) {
    const found = [];
    for await (const message of this.messages.list(thread, { order: 'asc', ...query })) {
      found.push(...message.content.map((part) => part.text.value));
    }
    return found;
  }

  async streamed(script, fields = {}) {
    const at = await this.thread(script);
    return this.drained(this.runs.stream(at, { assistant_id: this.assistant, ...fields }));
  }

  async drained(stream, then) {
    const seen = new Streamed();
    for (const name of CALLBACKS) {
      stream.on(name, () => { seen.counts[snake(name)] = (seen.counts[snake(name)] ?? 0) + 1; });
    }
    stream.on('error', () => { seen.counts.exception = (seen.counts.exception ?? 0) + 1; });
    stream.on('event', (event) => { seen.events.push(structuredClone(event)); });
    if (then) for await (const event of stream) await then(event);
    seen.run = await stream.finalRun();
    seen.messages = await stream.finalMessages();
    seen.steps = await stream.finalRunSteps();
    return seen;
  }

  async call(path) {
    return (await fetch(`${this.backstage}${path}`, { method: 'POST' })).json();
  }

  async raised(work) {
    try {
      await work();
    } catch (error) {
      if (error.status === undefined) return [error.constructor.name];
      return [error.constructor.name.replace(/^APIError$/, 'APIStatusError'), error.status, error.param ?? null, error.code ?? null];
    }
    return ['no error'];
  }
}

class Streamed {
  events = [];
  counts = {};

  get names() {
    const names = this.events.map(({ event }) => event.replace('thread.', ''));
    return names.filter((name, at) => name !== names[at - 1]);
  }

  get text() {
    return this.messages.flatMap(({ content }) => content.map((part) => part.text.value)).join('|');
  }

  async differences(on) {
    const { thread_id: at, id } = this.run;
    const stored = await on.of(on.runs, 'retrieve', id, at);
    const found = { run: differing(this.run, stored), messages: [], steps: [], 'last events of steps': [] };
    for (const message of this.messages) {
      found.messages.push(...differing(message, await on.of(on.messages, 'retrieve', message.id, at)));
    }
    for (const step of this.steps) {
      const kept = await on.step(step.id, id, at);
      const last = this.events.map(({ data }) => data).findLast((data) => data.id === step.id && data.object === 'thread.run.step');
      found.steps.push(...differing(step, kept));
      found['last events of steps'].push(...differing(last, kept));
    }
    found['only in the API or the stream'] = await this.uncounted(on, at, id);
    return Object.fromEntries(Object.entries(found).map(([key, value]) => [key, [...new Set(value)].sort()]));
  }

  async uncounted(on, thread, run) {
    const ids = async (list) => (await list).data.map(({ id }) => id).sort().join();
    const mine = (values) => values.map(({ id }) => id).sort().join();
    const found = [];
    if (await ids(on.messages.list(thread, { run_id: run })) !== mine(this.messages)) found.push('messages');
    if (await ids(on.stepList(run, thread)) !== mine(this.steps)) found.push('steps');
    return found;
  }
}

// Top-level fields that differ. The index of a delta, which the SDK keeps in its snapshots, is no difference.
function differing(snapshot, stored) {
  const [mine, theirs] = [bare(snapshot), bare(stored)];
  return Object.keys({ ...mine, ...theirs }).filter((key) => JSON.stringify(mine[key]) !== JSON.stringify(theirs[key]));
}

// Keys in order, so that equal values are equal texts.
export function bare(value) {
  if (Array.isArray(value)) return value.map(bare);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).filter(([key]) => key !== 'index' && key !== '_request_id');
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)).map(([key, one]) => [key, bare(one)]));
}

export function outputsFor(run, ...answers) {
  const calls = run.required_action.submit_tool_outputs.tool_calls;
  return calls.map((call, at) => ({ tool_call_id: call.id, output: answers[at] }));
}

export async function all(list) {
  const found = [];
  for await (const one of list) found.push(one);
  return found;
}
