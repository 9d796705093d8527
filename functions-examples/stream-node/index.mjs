import { setTimeout as sleep } from 'node:timers/promises';

/**
 * GET: server-sent events, one a tick (`?count=5&everyMs=200`). POST: the body comes back in upper
 * case while it is still being sent.
 */
export default function handler(request, context) {
  if (request.method === 'POST') return upperCase(request.body);
  const { searchParams } = new URL(request.url);
  const count = Math.min(Number(searchParams.get('count') ?? 5), 1000);
  const everyMs = Number(searchParams.get('everyMs') ?? 200);
  return new Response(ticks(count, everyMs, context.signal), {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' },
  });
}

/** Ends early when the caller leaves or the deadline has come: then `signal` aborts the sleep. */
async function* ticks(count, everyMs, signal) {
  const encoder = new TextEncoder();
  for (let tick = 1; tick <= count; tick++) {
    yield encoder.encode(`id: ${tick}\ndata: ${JSON.stringify({ tick })}\n\n`);
    if (tick < count) await sleep(everyMs, undefined, { signal });
  }
}

async function* upperCase(body) {
  const decoder = new TextDecoder();
  for await (const chunk of body ?? []) yield decoder.decode(chunk, { stream: true }).toUpperCase();
}
