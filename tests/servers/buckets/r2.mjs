// Cloudflare's local R2 with one bucket, as a token sees it that may read and write this bucket's objects and nothing
// else. Usage: node r2.mjs FOLDER BUCKET KEY SECRET. The folder keeps the bucket; the endpoint is printed when it is up.
import http from "node:http";
import { Miniflare } from "miniflare";

const [folder, bucket, accessKeyId, secretAccessKey] = process.argv.slice(2);
const R2_API = "/cdn-cgi/local/r2/s3";

const worker = {
  name: "r2",
  compatibilityDate: "2026-01-01",
  manifest: {
    mainModule: "worker.mjs",
    modulesRoot: import.meta.dirname,
    modules: { "worker.mjs": { type: "esm", contents: "export default {}" } },
  },
  env: { BUCKET: { type: "r2", name: bucket, dev: { experimentalS3Credentials: { accessKeyId, secretAccessKey } } } },
};
const miniflare = new Miniflare({
  host: "127.0.0.1",
  port: 0,
  cf: false,
  logRequests: false,
  telemetry: { enabled: false },
  resourcePersistencePath: folder,
  workers: [{ config: worker, dev: { rootPath: import.meta.dirname } }],
});
const { port } = await miniflare.ready;

// The local R2 knows no permissions. Of the requests that name no object, such a token may list objects and delete many.
function isAllowed({ method, url }) {
  const { pathname, searchParams } = new URL(url, "http://localhost");
  const [, key] = pathname.slice(R2_API.length + 1).split("/");
  return key || searchParams.has("list-type") || (method === "POST" && searchParams.has("delete"));
}

const front = http.createServer((request, response) => {
  if (!isAllowed(request)) {
    response.writeHead(403, { "content-type": "application/xml" });
    response.end("<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>");
    return;
  }
  const { method, url: path, headers } = request;
  const onward = http.request({ port, host: "127.0.0.1", method, path, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  request.pipe(onward);
});
front.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${front.address().port}${R2_API}`));

process.on("SIGTERM", async () => {
  await miniflare.dispose();
  process.exit(0);
});
