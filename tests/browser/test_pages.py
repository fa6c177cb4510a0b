"""What pages can do to a server (ADR-0021), as a real browser sees it."""

from pathlib import Path

import pytest

from tests.browser.conftest import Browser
from tests.support.serving import Api, Live, serving

KEY = "key-of-sixteen-letters"

# Everything a page can send without asking first, and what it asks first.
ATTACK = """
const url = "URL/v1/assistants", body = JSON.stringify({model: "rehearsal"}), told = {};
await fetch(url, {method: "POST", mode: "no-cors", body, headers: {"content-type": "text/plain"}}).catch(() => 0);
navigator.sendBeacon(url, new Blob([body], {type: "text/plain"}));
const form = Object.assign(document.createElement("form"), {method: "post", action: url, enctype: "text/plain", target: "frame"});
const field = Object.assign(document.createElement("input"), {name: '{"model":"rehearsal","name":"', value: '"}'});
const frame = Object.assign(document.createElement("iframe"), {name: "frame"});
form.append(field); document.body.append(frame, form);
const loaded = new Promise(done => frame.addEventListener("load", done));
form.submit();
await loaded;
for (const [name, options] of Object.entries({
  read: {}, json: {method: "POST", body, headers: {"content-type": "application/json", authorization: "Bearer x"}},
})) told[name] = await fetch(url, options).then(answer => answer.status).catch(() => "blocked");
return told;
"""


@pytest.mark.parametrize("host", ["evil.example", "localhost"])
async def test_a_page_of_another_origin_can_do_nothing_to_a_server_without_keys(
    live: Live, browser: Browser, host: str
) -> None:
    told = await browser.run(ATTACK.replace("URL", live.api.base), host)
    assert told == {"read": "blocked", "json": "blocked"}
    assert (await live.api.ok("GET", "/assistants"))["data"] == []


async def test_a_name_that_is_made_to_point_here_shows_nothing(live: Live, browser: Browser) -> None:
    await live.api.assistant(name="secret")
    port = live.api.base.rpartition(":")[2]
    text = await browser.text_of(f"http://evil.example:{port}/v1/assistants")
    assert "does not answer to the host" in text
    assert "secret" not in text


CLIENT = """
const base = "URL/v1", headers = {authorization: "Bearer KEY", "content-type": "application/json", "x-stainless-os": "x"};
const post = (path, body) => fetch(base + path, {method: "POST", headers, body: JSON.stringify(body)});
const assistant = await (await post("/assistants", {model: "rehearsal"})).json();
const thread = {messages: [{role: "user", content: "say: hello from the browser"}]};
const answer = await post("/threads/runs", {assistant_id: assistant.id, thread, stream: true});
const stream = await answer.text();
const form = new FormData();
form.append("purpose", "assistants");
form.append("file", new Blob(["x"]), "Über.txt");
const file = await (await fetch(base + "/files", {method: "POST", headers: {authorization: headers.authorization}, body: form})).json();
const gone = await fetch(base + "/assistants/" + assistant.id, {method: "DELETE", headers});
const wrong = await fetch(base + "/assistants", {headers: {authorization: "Bearer wrong"}});
return {
  ended: stream.includes("thread.run.completed") && stream.includes("hello"), id: answer.headers.get("x-request-id"),
  version: answer.headers.get("openai-version"), file: file.filename, gone: (await gone.json()).deleted,
  wrong: wrong.status, why: (await wrong.json()).error?.code,
};
"""


async def test_a_page_with_a_key_can_do_all_that_any_client_can(tmp_path: Path, browser: Browser) -> None:
    async with serving(tmp_path / "data", keys=KEY) as live:
        told = await browser.run(CLIENT.replace("URL", live.api.base).replace("KEY", KEY))
    assert told.pop("id", "").startswith("req_"), told
    assert told == {
        "ended": True,
        "version": "2020-10-01",
        "file": "Über.txt",
        "gone": True,
        "wrong": 401,
        "why": "invalid_api_key",
    }


async def test_only_named_pages_may_read_where_pages_are_named(tmp_path: Path, browser: Browser) -> None:
    script = """return await fetch("URL/v1/models", {headers: {authorization: "Bearer KEY"}}).then(a => a.status, () => "blocked");"""
    async with serving(tmp_path / "data", keys=KEY, CORS_ORIGINS=browser.origin("app.example")) as live:
        script = script.replace("URL", live.api.base).replace("KEY", KEY)
        assert await browser.run(script, "app.example") == 200
        assert await browser.run(script, "evil.example") == "blocked"


async def test_a_named_page_may_use_a_server_without_keys(tmp_path: Path, browser: Browser) -> None:
    async with serving(tmp_path / "data", CORS_ORIGINS=browser.origin("app.example")) as live:
        told = await browser.run(CLIENT.replace("URL", live.api.base).replace("KEY", "any"))
    assert (told["ended"], told["wrong"]) == (True, 200)


SDK = """
const {default: OpenAI} = await import("/modules/openai-7/index.mjs");
const client = new OpenAI({baseURL: "SERVER/v1", apiKey: "KEY", dangerouslyAllowBrowser: true});
const assistant = await client.beta.assistants.create({model: "rehearsal"});
const thread = await client.beta.threads.create({messages: [{role: "user", content: "say: hello"}]});
const stream = client.beta.threads.runs.stream(thread.id, {assistant_id: assistant.id});
let text = "";
stream.on("textDelta", delta => text += delta.value);
const run = await stream.finalRun();
const polled = await client.beta.threads.runs.createAndPoll(thread.id, {assistant_id: assistant.id});
return {status: run.status, text, polled: polled.status};
"""


@pytest.mark.needs("node")
async def test_the_official_sdk_works_in_a_page(tmp_path: Path, browser: Browser) -> None:
    async with serving(tmp_path / "data", keys=KEY) as live:
        told = await browser.run(SDK.replace("SERVER", live.api.base).replace("KEY", KEY))
        assert told == {"status": "completed", "text": "hello", "polled": "completed"}
        authorized = Api(live.api.base, live.api.session, {"Authorization": f"Bearer {KEY}"})
        assert len((await authorized.ok("GET", "/assistants"))["data"]) == 1
