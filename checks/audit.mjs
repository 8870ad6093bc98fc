// The graphql-http audits against a running server: `node audit.mjs` with URL and KEY in the environment.
import { auditServer } from "graphql-http";

const { URL: url, KEY: key } = process.env;
const results = await auditServer({
  url,
  fetchFn: (address, init = {}) =>
    fetch(address, { ...init, headers: { ...init.headers, authorization: `Bearer ${key}` } }),
});
const failed = results.filter((result) => result.status !== "ok");
for (const { id, name, status, reason } of failed) console.error(`${status} ${id} ${name}: ${reason}`);
console.log(`${results.length - failed.length} of ${results.length} audits`);
process.exitCode = failed.length ? 1 : 0;
