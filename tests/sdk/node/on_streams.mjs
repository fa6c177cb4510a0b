// Checks of streaming: every callback counted, every accumulator compared with what the API returns afterwards.
import { all, outputsFor } from './subject.mjs';

const SUNNY = 'say: wait\ncall: weather {}\n---\nsay: it is {{output}}';
const TRICKY = ['Grüße, 世界! 👩‍🚀', 'line\u2028para\u2029next\u0085', 'quote " and \\ back', 'data: [DONE]', 'tab\tend'];

const submitStream = (on, run, at, ...answers) =>
  on.of(on.runs, 'submitToolOutputsStream', run.id, at, { tool_outputs: outputsFor(run, ...answers) });

async function whole(on, seen) {
  return {
    events: seen.names,
    callbacks: seen.counts,
    status: seen.run.status,
    text: seen.text,
    differences: await seen.differences(on),
  };
}

export const checks = {
  async stream_text(on) {
    return whole(on, await on.streamed('say: one two three'));
  },

  async stream_parallel_calls(on) {
    const seen = await on.streamed('say: one two\ncall: weather {"city": "Oslo"}\ncall: weather {}');
    await on.of(on.runs, 'cancel', seen.run.id, seen.run.thread_id);
    const calls = seen.steps[1].step_details.tool_calls;
    const asked = seen.run.required_action.submit_tool_outputs.tool_calls;
    return {
      events: seen.names,
      callbacks: seen.counts,
      status: seen.run.status,
      arguments: calls.map((call) => [call.function.name, call.function.arguments]),
      asked: asked.map((call) => call.id).join() === calls.map((call) => call.id).join(),
    };
  },

  async stream_while_the_client_is_asked(on) {
    const seen = await on.streamed('say: one two\ncall: weather {}');
    const differences = await seen.differences(on);
    await on.of(on.runs, 'cancel', seen.run.id, seen.run.thread_id);
    return { status: seen.run.status, differences };
  },

  async submit_tool_outputs_stream(on) {
    const [at, waiting] = await on.polled(SUNNY);
    return whole(on, await on.drained(submitStream(on, waiting, at, 'sunny')));
  },

  async submit_inside_the_handler(on) {
    const at = await on.thread(SUNNY);
    const stream = on.runs.stream(at, { assistant_id: on.assistant });
    let inside;
    stream.on('event', (event) => {
      if (event.event === 'thread.run.requires_action') inside = on.drained(submitStream(on, event.data, at, 'sunny'));
    });
    const outer = await on.drained(stream);
    const inner = await inside;
    return {
      outer: [outer.run.status, outer.text, outer.counts.end],
      inner: [inner.run.status, inner.text, inner.counts.end],
      differences: await inner.differences(on),
    };
  },

  async submit_inside_the_loop(on) {
    const at = await on.thread(SUNNY);
    const seen = {};
    for await (const event of on.runs.stream(at, { assistant_id: on.assistant })) {
      if (event.event === 'thread.run.requires_action') {
        const inner = submitStream(on, event.data, at, 'sunny');
        seen.text = '';
        inner.on('textDelta', (delta) => { seen.text += delta.value; });
        seen.status = (await inner.finalRun()).status;
      }
    }
    return seen;
  },

  async create_and_run_stream(on) {
    const thread = { messages: [{ role: 'user', content: 'say: one two' }] };
    const seen = await on.drained(on.threads.createAndRunStream({ assistant_id: on.assistant, thread }));
    return { events: seen.names, status: seen.run.status, differences: await seen.differences(on) };
  },

  async plain_event_streams(on) {
    const at = await on.thread(SUNNY);
    const ends = (events) => [events[0].event, events.at(-1).event];
    const first = await all(await on.runs.create(at, { assistant_id: on.assistant, stream: true }));
    const run = first.at(-1).data;
    const body = { tool_outputs: outputsFor(run, 'sunny'), stream: true };
    const second = await all(await on.of(on.runs, 'submitToolOutputs', run.id, at, body));
    const thread = { messages: [{ role: 'user', content: 'hi' }] };
    const third = await all(await on.threads.createAndRun({ assistant_id: on.assistant, thread, stream: true }));
    return { create: ends(first), submit: ends(second), create_and_run: ends(third) };
  },

  async stream_tricky_text(on) {
    const seen = await on.streamed(`say:\n  ${TRICKY.join('\n  ')}`);
    const [stored] = await on.texts(seen.run.thread_id, { run_id: seen.run.id });
    return { exact: seen.text === stored, whole: stored === TRICKY.join('\n'), status: seen.run.status };
  },

  async stream_long_text(on) {
    const seen = await on.streamed('repeat: 3000\nsay: word');
    const [stored] = await on.texts(seen.run.thread_id, { run_id: seen.run.id });
    return {
      exact: seen.text === stored,
      length: seen.text.length,
      deltas: seen.counts.text_delta,
      differences: await seen.differences(on),
    };
  },

  async stream_refusal(on) {
    const seen = await on.streamed('refuse: I would rather not');
    const [part] = seen.messages[0].content;
    const counted = ['message_delta', 'text_delta', 'message_done'].map((name) => [name, seen.counts[name] ?? 0]);
    return {
      part: [part.type, part.refusal],
      callbacks: Object.fromEntries(counted),
      differences: await seen.differences(on),
    };
  },

  async stream_failed(on) {
    const seen = await on.streamed('say: half an answer\nfail: server_error');
    return {
      events: seen.names,
      status: [seen.run.status, seen.run.last_error.code],
      messages: seen.messages.map((message) => message.status),
      exceptions: seen.counts.exception ?? 0,
      differences: await seen.differences(on),
    };
  },

  async stream_incomplete(on) {
    const seen = await on.streamed('repeat: 300\nsay: word', { max_completion_tokens: 256 });
    return {
      events: seen.names,
      status: [seen.run.status, seen.run.incomplete_details.reason],
      messages: seen.messages.map((message) => message.status),
      differences: await seen.differences(on),
    };
  },

  async stream_cancelled(on) {
    const at = await on.thread('say: one two\nslow: 60s\nsay: three');
    const asked = [];
    const seen = await on.drained(on.runs.stream(at, { assistant_id: on.assistant }), async (event) => {
      if (event.event === 'thread.message.delta' && asked.length === 0) {
        const [run] = (await on.runs.list(at, { limit: 1 })).data;
        asked.push((await on.of(on.runs, 'cancel', run.id, at)).status);
      }
    });
    return {
      told: asked,
      events: seen.names,
      status: seen.run.status,
      messages: seen.messages.map((message) => [message.status, message.incomplete_details?.reason ?? null]),
      exceptions: seen.counts.exception ?? 0,
      differences: await seen.differences(on),
    };
  },

  async stream_closed_early(on) {
    const at = await on.thread('slow: 20ms\nsay: a b c d e f');
    for await (const event of on.runs.stream(at, { assistant_id: on.assistant })) {
      if (event.event === 'thread.message.delta') break;
    }
    const [run] = (await on.runs.list(at)).data;
    const ended = await on.poll(run.id, at);
    return { status: ended.status, texts: await on.texts(at, { run_id: run.id }) };
  },

  async stream_refused(on) {
    const at = await on.thread('say: x');
    const stream = (thread, assistant) => on.runs.stream(thread, { assistant_id: assistant }).done();
    return {
      thread: await on.raised(() => stream('thread_none', on.assistant)),
      assistant: await on.raised(() => stream(at, 'asst_none')),
    };
  },

  // Node's timeout ends with the response's headers: a caller gives a stream up by a signal.
  async stream_that_times_out(on) {
    const at = await on.thread('say: one two\nfail: stall');
    const stream = on.runs.stream(at, { assistant_id: on.assistant });
    const counts = { timeout: 0, exception: 0, end: 0 };
    stream.on('abort', () => { counts.timeout += 1; counts.exception += 1; });
    stream.on('end', () => { counts.end += 1; });
    stream.on('textDelta', () => stream.abort());
    const raised = await on.raised(() => stream.done());
    const [run] = (await on.runs.list(at)).data;
    await on.of(on.runs, 'cancel', run.id, at);
    const isTimeout = raised[0] === 'APIUserAbortError';
    return { raised: isTimeout ? 'a timeout' : raised, callbacks: counts, 'the run went on': run.status };
  },

  async many_streams_at_once(on) {
    const scripts = [...Array(8).keys()].map((number) => `say: answer ${number} of many`);
    const seen = await Promise.all(scripts.map((script) => on.streamed(script)));
    return { texts: seen.map((one) => one.text), statuses: [...new Set(seen.map((one) => one.run.status))] };
  },
};
