/**
 * An engine in a process of its own, for tests that kill it: starts one container by the spec given
 * as its second argument, says its pid, and waits.
 */

import { silentLog } from '../../../lib/telemetry/log.ts';
import { createEngine } from '../engine.ts';

const [options, spec] = process.argv.slice(2).map((text) => JSON.parse(text));
const engine = await createEngine({ ...options, log: silentLog() });
await engine.adopt();
const container = await engine.start(spec);
console.log(JSON.stringify({ pid: container.pid, address: container.address }));
setInterval(() => {}, 60_000);
