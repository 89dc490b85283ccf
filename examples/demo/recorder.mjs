import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { listen } from './listen.mjs';

/** A proxy in front of a running httpbin that keeps a log. */
export async function startRecorder(target) {
  const upstream = await httpbinAt(target);
  const isSecure = upstream.protocol === 'https:';
  const agent = new (isSecure ? HttpsAgent : HttpAgent)({ keepAlive: true });
  const send = isSecure ? httpsRequest : httpRequest;

  const forward = (request, response) => {
    const headers = { ...request.headers, host: upstream.host };
    const outgoing = send(upstream.origin + request.url, { method: request.method, headers, agent });
    outgoing.on('response', (incoming) => {
      response.writeHead(incoming.statusCode, withoutHopByHop(incoming.headers));
      incoming.pipe(response);
      incoming.on('error', () => response.destroy());
    });
    outgoing.on('error', (error) => {
      if (response.headersSent || response.destroyed) return response.destroy();
      response.writeHead(502, { 'Content-Type': 'text/plain' }).end(`no answer from httpbin: ${error.message}`);
    });
    response.on('close', () => outgoing.destroy());
    request.pipe(outgoing);
  };

  const { origin, log, close } = await listen(() => forward);
  return {
    origin,
    log,
    async close() {
      agent.destroy();
      await close();
    },
  };
}

async function httpbinAt(target) {
  if (!URL.canParse(target)) throw new Error(`--httpbin takes a URL such as http://127.0.0.1:8080, but got ${target}`);
  const url = new URL(target);
  const answer = await fetch(new URL('/status/204', url)).catch(() => undefined);
  if (answer?.status !== 204) throw new Error(`No httpbin answers at ${url.href}`);
  return url;
}

const HOP_BY_HOP = ['connection', 'keep-alive', 'transfer-encoding'];

function withoutHopByHop(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name)));
}
