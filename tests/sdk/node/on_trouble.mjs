// Checks of keys, retries and restarts: each has a server of its own, which the test's switchboard can stop or fill.
import { all, Subject } from './subject.mjs';

export const checks = {
  async keys_and_projects(on) {
    const server = await on.call('/servers?keys=one=sk-first-key-of-project-one,two=sk-second-key-of-project-two');
    const one = on.connect(server.url, 'sk-first-key-of-project-one');
    const two = on.connect(server.url, 'sk-second-key-of-project-two');
    const wrong = on.connect(server.url, 'sk-a-key-nobody-has-ever-made');
    const made = await one.beta.threads.create();
    return {
      own: (await one.beta.threads.retrieve(made.id)).id === made.id,
      'of another project': await on.raised(() => two.beta.threads.retrieve(made.id)),
      'wrong key': await on.raised(() => wrong.beta.threads.retrieve(made.id)),
    };
  },

  async stream_silence(on) {
    const server = await on.call('/servers');
    const other = new Subject(on.connect(server.url, 'any'), on.backstage, on.connect, on.major, on.toFile);
    await other.start();
    const seen = await other.streamed('slow: 300ms\nsay: first later');
    return { status: seen.run.status, text: seen.text, events: seen.names };
  },

  async retries_over_a_restart(on) {
    const server = await on.call('/servers');
    const client = on.connect(server.url, 'any', { maxRetries: 4 });
    const made = await client.beta.threads.create({ metadata: { a: 'b' } });
    await on.call(`/servers/${server.number}/restart`);
    const found = await client.beta.threads.retrieve(made.id);
    const { retries } = await on.call(`/servers/${server.number}/seen`);
    return { kept: found.metadata, retried: retries.at(-1) > 0 };
  },

  async retries_a_503_when_told(on) {
    const server = await on.call('/servers');
    const client = on.connect(server.url, 'any', { maxRetries: 2 });
    const at = (await client.beta.threads.create()).id;
    const message = { role: 'user', content: 'word '.repeat(8000) };
    await on.call(`/servers/${server.number}/fill`);
    const refused = await on.raised(() => client.beta.threads.messages.create(at, message, { maxRetries: 0 }));
    await on.call(`/servers/${server.number}/fill`);
    const made = await client.beta.threads.messages.create(at, message);
    const seen = await on.call(`/servers/${server.number}/seen`);
    const listed = await all(client.beta.threads.messages.list(at));
    return {
      'without retries': refused,
      statuses: seen.statuses.slice(-3),
      'retry-after': seen.retry_after,
      'said once': listed.map((one) => one.id).join() === made.id,
    };
  },

  async a_stream_cut_by_a_restart(on) {
    const server = await on.call('/servers');
    const client = on.connect(server.url, 'any', { maxRetries: 4 });
    const { assistants, threads } = client.beta;
    const assistant_id = (await assistants.create({ model: 'rehearsal' })).id;
    const messages = [{ role: 'user', content: 'say: one\nslow: 1500ms\nsay: two' }];
    const at = (await threads.create({ messages })).id;
    const stream = threads.runs.stream(at, { assistant_id });
    const counts = { exception: 0, end: 0 };
    stream.on('error', () => { counts.exception += 1; });
    stream.on('end', () => { counts.end += 1; });
    let raised = 'nothing';
    try {
      for await (const event of stream) {
        if (event.event === 'thread.message.delta') await on.call(`/servers/${server.number}/restart`);
      }
      await stream.done(); // the iterator of SDK 4 just ends
    } catch (error) {
      raised = error.constructor.name;
    }
    const [run] = (await threads.runs.list(at)).data;
    const ended = await (on.major < 5 ? threads.runs.poll(at, run.id) : threads.runs.poll(run.id, { thread_id: at }));
    const said = (await threads.messages.list(at, { run_id: run.id })).data;
    return { raised, callbacks: counts, status: ended.status, newest: said[0].content[0].text.value };
  },
};
