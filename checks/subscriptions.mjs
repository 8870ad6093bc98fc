// The clients graphql-ws and graphql-sse against a running server: `node subscriptions.mjs` with URL
// and KEY in the environment. SUBSCRIPTION is the text of one that answers at once, if there is any.
import assert from "node:assert/strict";
import { createClient as createSseClient } from "graphql-sse";
import { CloseCode, createClient as createWsClient } from "graphql-ws";
import WebSocket from "ws";

const { URL: url, KEY: key, SUBSCRIPTION: subscription } = process.env;
const ME = "{ viewer { role } }";
const ADMIN = { viewer: { role: "ADMIN" } };

const over = {
  ws: (key) =>
    createWsClient({
      url: url.replace("http", "ws"),
      webSocketImpl: WebSocket,
      connectionParams: { Authorization: `Bearer ${key}` },
      retryAttempts: 0,
    }),
  sse: (key) =>
    createSseClient({ url, headers: { Authorization: `Bearer ${key}` }, retryAttempts: 0 }),
};

async function first(client, query) {
  for await (const answer of client.iterate({ query })) return answer;
  throw new Error("ended without an answer");
}

const said = async (work) => {
  try {
    return await work();
  } catch (error) {
    return error;
  }
};

for (const [name, connect] of Object.entries(over)) {
  const client = connect(key);
  assert.deepEqual((await first(client, ME)).data, ADMIN, `${name}: a query is answered`);
  const invalid = await said(() => first(client, "{ nothing }"));
  assert.match(JSON.stringify(invalid), /nothing/, `${name}: what is wrong is said`);
  if (subscription) {
    const answer = await first(client, subscription);
    assert.equal(answer.errors, undefined, `${name}: a subscription is answered`);
    assert.ok(answer.data);
  }
  assert.deepEqual((await first(client, ME)).data, ADMIN, `${name}: and it goes on`);
  client.dispose();
  console.log(`${name}: query, error${subscription ? ", subscription" : ""}`);
}

const refused = await said(() => first(over.ws("nonsense"), ME));
assert.equal(refused.code, CloseCode.Forbidden, "ws: no key, no connection");
const unknown = await said(() => first(over.sse("nonsense"), ME));
assert.match(String(unknown.message), /401|key/i, "sse: no key, no answer");

const raw = new WebSocket(url.replace("http", "ws"), "graphql-transport-ws");
raw.on("open", () => raw.send("5"));
const code = await new Promise((resolve) => raw.on("close", resolve));
assert.equal(code, CloseCode.BadRequest, "ws: a frame that is no message closes the connection");
console.log("strangers and nonsense are refused");
