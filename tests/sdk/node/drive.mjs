// Drives a live Threadmill with the unmodified official Node SDK; prints what it saw as one JSON object.
import OpenAI from 'openai';

const [baseURL, assistantModel] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: 'test', maxRetries: 0 });
const { assistants, threads } = client.beta;
const tool = { type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: {} } } };
const assistant = await assistants.create({ model: assistantModel, tools: [tool] });
const seen = {};

async function thread(content) {
  return threads.create({ messages: [{ role: 'user', content }] });
}

function counted(stream) {
  const counts = {};
  for (const name of ['event', 'messageCreated', 'messageDelta', 'messageDone', 'runStepCreated', 'runStepDelta',
    'runStepDone', 'toolCallCreated', 'toolCallDelta', 'toolCallDone', 'textCreated', 'textDelta', 'textDone', 'end']) {
    stream.on(name, () => { counts[name] = (counts[name] ?? 0) + 1; });
  }
  return counts;
}

{
  const { id } = await thread('say: one two');
  const run = await threads.runs.createAndPoll(id, { assistant_id: assistant.id });
  const messages = await threads.messages.list(id);
  seen.createAndPoll = [run.status, messages.data[0].content[0].text.value];
}
{
  const { id } = await thread('say: one two');
  const stream = threads.runs.stream(id, { assistant_id: assistant.id });
  const counts = counted(stream);
  const final = await stream.finalMessages();
  const stored = await threads.messages.retrieve(final[0].id, { thread_id: id });
  seen.stream = { counts, run: (await stream.finalRun()).status, same: final[0].content[0].text.value === stored.content[0].text.value && final[0].content.length === stored.content.length };
}
{
  const { id } = await thread('call: weather {"a": 1}\ncall: weather {}\n---\nsay: {{output}}');
  const waiting = await threads.runs.createAndPoll(id, { assistant_id: assistant.id });
  const calls = waiting.required_action.submit_tool_outputs.tool_calls;
  const tool_outputs = calls.map((call) => ({ tool_call_id: call.id, output: 'fine' }));
  const run = await threads.runs.submitToolOutputsAndPoll(waiting.id, { thread_id: id, tool_outputs });
  seen.submitToolOutputsAndPoll = [calls.length, run.status, run.usage.total_tokens > 0];
}
{
  const { id } = await thread('say: wait\ncall: weather {}\n---\nsay: {{output}}');
  const first = threads.runs.stream(id, { assistant_id: assistant.id });
  let inner;
  for await (const event of first) {
    if (event.event === 'thread.run.requires_action') {
      // From inside the still open stream, as the SDK's own example does.
      const calls = event.data.required_action.submit_tool_outputs.tool_calls;
      const tool_outputs = calls.map((call) => ({ tool_call_id: call.id, output: 'sunny' }));
      inner = threads.runs.submitToolOutputsStream(event.data.id, { thread_id: id, tool_outputs });
      inner.on('error', () => {});
      const counts = counted(inner);
      const messages = await inner.finalMessages();
      seen.submitInsideStream = { counts, text: messages[0].content[0].text.value };
    }
  }
}
{
  const run = await threads.createAndRunPoll({ assistant_id: assistant.id, thread: { messages: [{ role: 'user', content: 'hi' }] } });
  const stream = threads.createAndRunStream({ assistant_id: assistant.id, thread: { messages: [{ role: 'user', content: 'hi' }] } });
  seen.createAndRun = [run.status, (await stream.finalRun()).status];
}
{
  const { id } = await thread('first');
  for (let n = 0; n < 24; n += 1) await threads.messages.create(id, { role: 'user', content: `message ${n}` });
  let count = 0;
  for await (const _ of threads.messages.list(id, { limit: 10 })) count += 1;
  seen.autoPaging = count;
}
async function refused(work) {
  try { await work(); return 'no error'; } catch (error) { return [error.constructor.name, error.status, error.code]; }
}
seen.errors = {
  notFound: await refused(() => threads.retrieve('thread_doesnotexist')),
  badRequest: await refused(() => threads.create({ messages: [{ role: 'human', content: 'x' }] })),
  undefinedId: await refused(() => threads.retrieve('undefined')),
};
console.log(JSON.stringify(seen));
