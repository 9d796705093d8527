// What a request waits when no instance of its function runs, and when one does. For open-source k6:
//
//   k6 run -e HEARTH_URL=http://127.0.0.1:8080 -e FUNCTION=hello load-tests/k6/cold-start.js
//
// Deploy the function with a short `idle` (function.yaml, `scale: {idle: 1s}`): between two cold
// calls the script waits IDLE_SECONDS, so that the instance is gone. An answer that waited for a
// start carries Server-Timing; one that should have and did not fails a check.
import { check, sleep } from 'k6';
import http from 'k6/http';
import { Counter, Trend } from 'k6/metrics';

const settings = {
  url: __ENV.HEARTH_URL || 'http://127.0.0.1:8080',
  functionName: __ENV.FUNCTION || 'hello',
  path: __ENV.FUNCTION_PATH || '/',
  coldCalls: Number(__ENV.COLD_CALLS || 20),
  warmCallsEach: Number(__ENV.WARM_CALLS || 20),
  idleSeconds: Number(__ENV.IDLE_SECONDS || 3),
  coldMsMax: Number(__ENV.COLD_MS_MAX || 250),
  warmMsMax: Number(__ENV.WARM_MS_MAX || 25),
};

const coldMs = new Trend('hearth_cold_ms', true);
const warmMs = new Trend('hearth_warm_ms', true);
const coldAnswers = new Counter('hearth_cold_answers');
const phaseTrends = {
  queue: new Trend('hearth_phase_queue_ms', true),
  spawn: new Trend('hearth_phase_spawn_ms', true),
  ready: new Trend('hearth_phase_ready_ms', true),
  import: new Trend('hearth_phase_import_ms', true),
  app: new Trend('hearth_phase_app_ms', true),
};

export const options = {
  scenarios: {
    from_zero: {
      executor: 'per-vu-iterations',
      vus: 1,
      iterations: settings.coldCalls,
      maxDuration: '30m',
    },
  },
  summaryTrendStats: ['min', 'med', 'p(95)', 'p(99)', 'max'],
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    hearth_cold_answers: [`count>=${settings.coldCalls}`],
    hearth_cold_ms: [`p(95)<${settings.coldMsMax}`],
    hearth_warm_ms: [`p(95)<${settings.warmMsMax}`],
  },
};

export default function coldThenWarm() {
  sleep(settings.idleSeconds);
  const cold = call();
  const isCold = cold.headers['Server-Timing'] !== undefined;
  check(cold, {
    'cold call answers 200': (answer) => answer.status === 200,
    'cold call waited for a start': () => isCold,
  });
  if (isCold) {
    coldAnswers.add(1);
    coldMs.add(cold.timings.duration);
    addPhases(cold.headers['Server-Timing']);
  }
  for (let i = 0; i < settings.warmCallsEach; i++) {
    const warm = call();
    check(warm, { 'warm call answers 200': (answer) => answer.status === 200 });
    warmMs.add(warm.timings.duration);
  }
}

function call() {
  return http.get(`${settings.url}/function/${settings.functionName}${settings.path}`);
}

/** `queue;dur=1.20, spawn;dur=3.40` (W3C Server Timing). */
function addPhases(header) {
  for (const part of header.split(',')) {
    const match = /^\s*([a-z]+);dur=([0-9.]+)/.exec(part);
    const trend = match === null ? undefined : phaseTrends[match[1]];
    if (trend !== undefined) trend.add(Number(match[2]));
  }
}
