// Checks of polling helpers, run steps and run endings; the same names and the same findings as the Python script.
import { WEATHER, all, outputsFor } from './subject.mjs';

const TWO_CALLS = 'call: weather {"city": "Oslo"}\ncall: weather {}\n---\nsay: {{outputs.0}} and {{outputs.1}}';
const CONTENT = ['step_details.tool_calls[*].file_search.results[*].content'];

export const checks = {
  async create_and_poll(on) {
    const [at, run] = await on.polled('say: one two');
    const { total_tokens: total, prompt_tokens: prompt, completion_tokens: completion } = run.usage;
    return {
      status: run.status,
      texts: await on.texts(at, { run_id: run.id }),
      'usage adds up': total === prompt + completion && total > 0,
    };
  },

  async create_then_poll(on) {
    const at = await on.thread('say: one two');
    const run = await on.runs.create(at, { assistant_id: on.assistant });
    const polled = await on.poll(run.id, at, { pollIntervalMs: 20 });
    return { created: run.status, polled: polled.status, same: polled.id === run.id };
  },

  async create_and_run(on) {
    const thread = { messages: [{ role: 'user', content: 'hi' }], metadata: { a: 'b' } };
    const run = await on.threads.createAndRun({ assistant_id: on.assistant, thread });
    const ended = await on.poll(run.id, run.thread_id);
    const polled = await on.threads.createAndRunPoll({ assistant_id: on.assistant, thread });
    return {
      created: run.status,
      polled: [ended.status, polled.status],
      texts: await on.texts(polled.thread_id),
      metadata: (await on.threads.retrieve(polled.thread_id)).metadata,
    };
  },

  async submit_tool_outputs_and_poll(on) {
    const [at, waiting] = await on.polled(TWO_CALLS);
    const calls = waiting.required_action.submit_tool_outputs.tool_calls;
    const outputs = { tool_outputs: outputsFor(waiting, 'sun', 'rain') };
    const run = await on.of(on.runs, 'submitToolOutputsAndPoll', waiting.id, at, outputs);
    const steps = await all(on.stepList(run.id, at, { order: 'asc' }));
    return {
      waiting: waiting.status,
      calls: calls.map((call) => [call.function.name, call.function.arguments]),
      status: run.status,
      required_action: run.required_action,
      steps: steps.map((step) => step.type),
      kept: steps[0].step_details.tool_calls.map((call) => call.function.output),
      texts: await on.texts(at, { run_id: run.id }),
    };
  },

  async submit_tool_outputs_then_poll(on) {
    const [at, waiting] = await on.polled(TWO_CALLS);
    const outputs = outputsFor(waiting, 'sun', 'rain');
    const submit = (some) => on.of(on.runs, 'submitToolOutputs', waiting.id, at, { tool_outputs: some });
    const one = await on.raised(() => submit(outputs.slice(0, 1)));
    const run = await submit(outputs);
    const ended = await on.poll(run.id, at);
    const late = await on.raised(() => submit(outputs));
    return { 'only one of two': one, submitted: run.status, polled: ended.status, 'too late': late };
  },

  async cancel(on) {
    const at = await on.thread('slow: 1s\nsay: a b c d e f');
    const run = await on.runs.create(at, { assistant_id: on.assistant });
    const told = await on.of(on.runs, 'cancel', run.id, at);
    const ended = await on.poll(run.id, at);
    const again = await on.raised(() => on.of(on.runs, 'cancel', run.id, at));
    const free = await on.messages.create(at, { role: 'user', content: 'hi' });
    return { told: told.status, ended: ended.status, again, 'thread is free': free.role === 'user' };
  },

  async cancel_while_the_client_is_asked(on) {
    const [at, waiting] = await on.polled('call: weather {}');
    await on.of(on.runs, 'cancel', waiting.id, at);
    const ended = await on.poll(waiting.id, at);
    return { waiting: waiting.status, ended: ended.status };
  },

  async every_parameter_of_a_run(on) {
    const given = {
      model: 'rehearsal',
      instructions: 'Be kind.',
      additional_instructions: 'Be brief.',
      additional_messages: [{ role: 'user', content: 'say: the newest' }],
      metadata: { key: 'value' },
      temperature: 0.5,
      top_p: 0.25,
      max_prompt_tokens: 5000,
      max_completion_tokens: 300,
      truncation_strategy: { type: 'last_messages', last_messages: 3 },
      tool_choice: 'none',
      tools: [WEATHER],
      parallel_tool_calls: false,
      response_format: { type: 'text' },
      include: CONTENT,
    };
    const [at, run] = await on.polled('say: old', given);
    const own = ['additional_instructions', 'additional_messages', 'include', 'instructions', 'tools'];
    const same = (key) => JSON.stringify(run[key]) === JSON.stringify(given[key]);
    return {
      status: run.status,
      'not echoed': Object.keys(given).filter((key) => !own.includes(key) && !same(key)),
      tools: run.tools.map((tool) => tool.function.name),
      texts: await on.texts(at),
    };
  },

  async runs_that_do_not_complete(on) {
    const [, failed] = await on.polled('fail: rate_limit');
    const [, broken] = await on.polled('say: half an answer\nfail: server_error');
    const [at, short] = await on.polled('repeat: 300\nsay: word', { max_completion_tokens: 256 });
    const [, filtered] = await on.polled('say: half\nfinish: content_filter');
    const [message] = (await on.messages.list(at, { limit: 1 })).data;
    return {
      'rate limit': [failed.status, failed.last_error.code],
      'server error': [broken.status, broken.last_error.code],
      'too long': [short.status, short.incomplete_details.reason, message.status, message.incomplete_details.reason],
      filtered: filtered.status,
    };
  },

  async run_steps(on) {
    const [at, run] = await on.polled('say: one\ncall: weather {}');
    const listed = (await on.stepList(run.id, at)).data;
    const one = await on.step(listed[0].id, run.id, at);
    const full = await on.stepList(run.id, at, { include: CONTENT, order: 'asc', limit: 1 });
    return {
      'newest first': listed.map((step) => [step.type, step.status]),
      retrieved: JSON.stringify(one) === JSON.stringify(listed[0]),
      'one by one': [full.data.length, full.hasNextPage()],
      missing: await on.raised(() => on.step('step_none', run.id, at)),
    };
  },

  async modify_a_run(on) {
    const [at, run] = await on.polled('say: one');
    const changed = await on.of(on.runs, 'update', run.id, at, { metadata: { a: 'b' } });
    const again = await on.of(on.runs, 'retrieve', run.id, at);
    return { metadata: changed.metadata, same: JSON.stringify(again) === JSON.stringify(changed) };
  },

  async a_locked_thread(on) {
    const [at, waiting] = await on.polled('call: weather {}');
    const seen = {
      message: await on.raised(() => on.messages.create(at, { role: 'user', content: 'x' })),
      run: await on.raised(() => on.runs.create(at, { assistant_id: on.assistant })),
      stream: await on.raised(() => on.runs.create(at, { assistant_id: on.assistant, stream: true })),
      read: (await on.messages.list(at)).data.length,
    };
    await on.of(on.runs, 'cancel', waiting.id, at);
    return seen;
  },
};
