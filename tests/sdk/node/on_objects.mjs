// Checks of objects, lists, raw answers, options and errors.
import { WEATHER, all } from './subject.mjs';

export const checks = {
  async assistants(on) {
    const made = await on.assistants.create({
      model: 'rehearsal', name: 'A', description: 'D', instructions: 'I', tools: [WEATHER],
      metadata: { a: 'b' }, temperature: 0.5, top_p: 0.5, response_format: { type: 'json_object' },
    });
    const changed = await on.assistants.update(made.id, { name: 'B', metadata: { c: 'd' } });
    const found = await on.assistants.retrieve(made.id);
    const gone = await on.delete(on.assistants, made.id);
    return {
      made: [made.name, made.description, made.instructions, made.temperature, made.response_format.type],
      changed: [changed.name, changed.description, changed.metadata],
      found: JSON.stringify(found) === JSON.stringify(changed),
      gone: [gone.deleted, gone.object],
      after: await on.raised(() => on.assistants.retrieve(made.id)),
    };
  },

  async threads(on) {
    const made = await on.threads.create();
    const changed = await on.threads.update(made.id, { metadata: { a: 'b' } });
    const found = await on.threads.retrieve(made.id);
    const gone = await on.delete(on.threads, made.id);
    return {
      metadata: [made.metadata, changed.metadata, found.metadata],
      gone: [gone.deleted, gone.object],
      after: await on.raised(() => on.threads.retrieve(made.id)),
    };
  },

  async messages(on) {
    const at = await on.thread('first');
    const image = { type: 'image_url', image_url: { url: 'https://images.test/a.png' } };
    const parts = [{ type: 'text', text: 'look' }, image];
    const made = await on.messages.create(at, { role: 'user', content: parts, metadata: { a: 'b' } });
    const answer = await on.messages.create(at, { role: 'assistant', content: 'seen' });
    const changed = await on.of(on.messages, 'update', made.id, at, { metadata: { c: 'd' } });
    const gone = await on.delete(on.messages, answer.id, at);
    return {
      parts: made.content.map((part) => part.type),
      detail: made.content[1].image_url.detail,
      role: answer.role,
      metadata: changed.metadata,
      gone: [gone.deleted, gone.object],
      left: (await on.messages.list(at)).data.length,
    };
  },

  async lists_page_by_themselves(on) {
    const messages = [...Array(25).keys()].map((number) => ({ role: 'user', content: `${number}` }));
    const at = (await on.threads.create({ messages })).id;
    const pages = [];
    for await (const page of (await on.messages.list(at, { limit: 10 })).iterPages()) pages.push(page.data.length);
    const texts = async (query) => (await all(on.messages.list(at, query))).map((one) => one.content[0].text.value);
    const [down, up] = [await texts({ limit: 10 }), await texts({ limit: 7, order: 'asc' })];
    const third = (await on.messages.list(at, { order: 'asc', limit: 3 })).data[2];
    const before = (await on.messages.list(at, { order: 'asc', before: third.id })).data;
    return {
      pages: pages.filter((size) => size > 0),
      'newest first': down.slice(0, 2),
      all: new Set(down).size,
      turned: up.join() === [...down].reverse().join(),
      before: before.length,
    };
  },

  async every_list(on) {
    const [at, run] = await on.polled('say: one');
    const again = await on.runs.createAndPoll(at, { assistant_id: on.assistant });
    const made = [];
    for (let number = 0; number < 3; number += 1) made.push((await on.assistants.create({ model: 'rehearsal' })).id);
    const newest = (await on.assistants.list({ limit: 100 })).data.map((one) => one.id);
    const runs = (await all(on.runs.list(at, { limit: 1 }))).map((one) => one.id);
    const steps = (await all(on.stepList(run.id, at, { limit: 1 }))).map((one) => one.run_id);
    return {
      assistants: newest.filter((one) => made.includes(one)).join() === [...made].reverse().join(),
      runs: runs.join() === [again.id, run.id].join(),
      steps: steps.join() === run.id,
      'bad limit': await on.raised(() => on.assistants.list({ limit: 101 })),
    };
  },

  async models(on) {
    const listed = (await all(on.client.models.list())).map((model) => model.id);
    const one = await on.client.models.retrieve('rehearsal');
    return {
      listed: listed.includes('rehearsal'),
      one: [one.id, one.object],
      missing: await on.raised(() => on.client.models.retrieve('nobody')),
    };
  },

  async raw_answers(on) {
    const { data, response } = await on.threads.create({ metadata: { a: 'b' } }).withResponse();
    const id = response.headers.get('x-request-id');
    return {
      status: response.status,
      version: response.headers.get('openai-version'),
      'request id': id.startsWith('req_'),
      milliseconds: /^\d+$/.test(response.headers.get('openai-processing-ms')),
      type: response.headers.get('content-type'),
      parsed: [data.object, data.metadata],
      'on the object': data._request_id === id,
    };
  },

  async streaming_answers(on) {
    const at = await on.thread('say: one two');
    const response = await on.runs.create(at, { assistant_id: on.assistant, stream: true }).asResponse();
    const lines = (await response.text()).split('\n').filter((line) => line);
    const data = lines.filter((line) => line.startsWith('data: ')).map((line) => line.slice(6));
    const parsed = await on.threads.retrieve(at).asResponse().then((answer) => answer.json());
    return {
      type: response.headers.get('content-type'),
      last: lines.slice(-2),
      objects: [...new Set(data.slice(0, -1).map((line) => JSON.parse(line).object))].sort(),
      parsed: parsed.id === at,
    };
  },

  async options(on) {
    const quick = on.connect(on.client.baseURL, 'test-key', { timeout: 20000, maxRetries: 1, defaultHeaders: { 'X-Mine': '1' } });
    const create = (body, options) => quick.beta.threads.create(body, options);
    const at = (await create({}, { headers: { 'X-Other': '2' } })).id;
    for (const text of ['one', 'two']) await quick.beta.threads.messages.create(at, { role: 'user', content: text });
    const listed = await on.messages.list(at, {}, { query: { limit: 1 }, maxRetries: 0 });
    const extra = await create({ metadata: { a: 'b' } });
    const bare = await create({}, { headers: { 'OpenAI-Beta': null } });
    return {
      listed: listed.data.length,
      'extra body': extra.metadata,
      'no beta header': bare.object,
      'the old beta': await on.raised(() => create({}, { headers: { 'OpenAI-Beta': 'assistants=v1' } })),
      'unknown parameter': await on.raised(() => create({ nonsense: 1 })),
    };
  },

  async errors_by_class(on) {
    const at = await on.thread('x');
    const tooMany = Object.fromEntries([...Array(17).keys()].map((number) => [`${number}`, '']));
    const { client, messages, threads } = on;
    return {
      'bad value': await on.raised(() => messages.create(at, { role: 'human', content: 'x' })),
      empty: await on.raised(() => messages.create(at, { role: 'user', content: '' })),
      missing: await on.raised(() => threads.retrieve('thread_none')),
      undefined: await on.raised(() => threads.retrieve('undefined')),
      'no such run': await on.raised(() => on.of(on.runs, 'retrieve', 'run_none', at)),
      'no such message': await on.raised(() => on.of(messages, 'retrieve', 'msg_none', at)),
      'bad cursor': (await on.raised(() => messages.list(at, { after: 'msg_none' }))).slice(0, 2),
      'no such route': await on.raised(() => client.get('/nowhere')),
      'wrong method': await on.raised(() => client.patch('/threads')),
      metadata: await on.raised(() => threads.create({ metadata: tooMany })),
    };
  },
};
