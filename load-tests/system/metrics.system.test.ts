import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { packageRoot } from '../../lib/paths.ts';
import { call } from './call.ts';
import { type Family, parseExposition } from './exposition.ts';
import { answering, makeFolder } from './folder.ts';
import { Platform, until, whyNotHere } from './platform.ts';

/** What Prometheus reads of each daemon, and whether docs/metrics.md says the same. */

const DAEMONS = ['gateway', 'node-agent', 'scheduler', 'builder'] as const;
type Daemon = (typeof DAEMONS)[number];

/** Titles of docs/metrics.md by daemon. */
const TITLES: Readonly<Record<Daemon, string>> = {
  gateway: 'Gateway',
  'node-agent': 'Node agent',
  scheduler: 'Scheduler',
  builder: 'Builder and embedded registry',
};

const CLIENT_MISSING = 77;
const READ_FAMILIES = `
import sys
try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    sys.exit(${CLIENT_MISSING})
for family in text_string_to_metric_families(sys.stdin.read()):
    print(family.name)
`;

let platform: Platform;

suite('metrics', { skip: whyNotHere() }, () => {
  before(async () => {
    platform = await new Platform().up();
    const folder = makeFolder(join(platform.folder, 'hello'), { 'index.mjs': answering('hello') });
    await platform.well('deploy', folder, '--idle', '1s');
    await platform.untilZero('hello');
    assert.equal((await call(platform.at('hello'))).status, 200);
  });
  after(() => platform.end());

  for (const daemon of DAEMONS) {
    test(`${daemon}: a strict reader takes the page, and it is as documented`, async (t) => {
      const page = await pageOf(daemon);
      checkWithPrometheus(t, page);
      const families = parseExposition(page);
      const rows = documented(TITLES[daemon]);
      assert.ok(rows.length > 3);
      const own = [...families.keys()].filter((name) => name.startsWith('hearth_'));
      assert.deepEqual(own.sort(), rows.map(({ name }) => name).sort());
      for (const { name, kind, labels } of rows) {
        const family = families.get(name);
        assert.equal(family?.type, kind, name);
        assert.notEqual(family?.help, '', name);
        for (const sample of family?.samples ?? []) {
          const found = Object.keys(sample.labels).filter((label) => label !== 'le');
          assert.deepEqual(found.sort(), labels, sample.name);
        }
      }
      assert.ok(families.has('process_resident_memory_bytes'));
    });
  }

  test('invocations and deploys move the counters', async () => {
    const before = await values();
    for (let n = 0; n < 5; n++) await call(platform.at('hello'));
    await call(platform.at('nobody'));
    await platform.untilZero('hello');
    await call(platform.at('hello'));
    const other = makeFolder(join(platform.folder, 'other'), { 'index.mjs': answering('other') });
    await platform.well('deploy', other);
    const grown = await values();
    const growth = (key: string): number => (grown.get(key) ?? 0) - (before.get(key) ?? 0);

    assert.equal(growth('hearth_gateway_requests_total{code="200",function="hello"}'), 6);
    assert.equal(growth('hearth_gateway_requests_total{code="404",function="_other"}'), 1);
    assert.equal(growth('hearth_gateway_request_duration_seconds_count{function="hello"}'), 6);
    // On a slow machine the instance may have gone for want of calls once more.
    assert.ok(growth('hearth_gateway_cold_starts_total{function="hello"}') >= 1);
    assert.ok(growth('hearth_agent_starts_total{outcome="ready",reason="cold"}') >= 1);
    assert.equal(growth('hearth_agent_starts_total{outcome="ready",reason="rollout"}'), 1);
    assert.ok(growth('hearth_agent_start_phase_seconds_count{phase="total"}') >= 2);
    assert.ok(growth('hearth_agent_drains_total{outcome="stopped"}') >= 1);
    assert.equal(growth('hearth_builder_builds_total{result="built"}'), 1);
    assert.equal(growth('hearth_scheduler_rollouts_total{outcome="ready"}'), 1);
    assert.ok(growth('hearth_registry_requests_total{method="PUT",status="201"}') > 0);
    assert.equal(grown.get('hearth_scheduler_nodes'), 1);
  });

  test('gauges fall back to nothing', async () => {
    await platform.well('remove', 'hello', 'other');
    await until(
      async () => left(await values()).length === 0,
      () => 'something is still counted',
    );
  });
});

/** Gauges that are above nothing while no function exists. */
function left(now: Map<string, number>): string[] {
  const instances = /^hearth_(agent|gateway)_instances\{/;
  const others = [
    'hearth_agent_memory_reserved_bytes',
    'hearth_gateway_in_flight',
    'hearth_gateway_waiting',
    'hearth_builder_running',
  ];
  const counted = [...now].filter(
    ([name, value]) => value > 0 && (instances.test(name) || others.includes(name)),
  );
  const named = [...now].filter(([name]) => name.startsWith('hearth_scheduler_instances{'));
  return [...counted, ...named].map(([name]) => name);
}

async function pageOf(daemon: Daemon): Promise<string> {
  const { status, headers, body } = await call(`http://${platform.addressesOf(daemon)[0]}/metrics`);
  assert.equal(status, 200);
  assert.match(headers['content-type'] ?? '', /^text\/plain; version=0\.0\.4; charset=utf-8$/);
  return body;
}

/** All samples of all daemons, by name with sorted labels. */
async function values(): Promise<Map<string, number>> {
  const pages = await Promise.all(
    DAEMONS.map(async (daemon) => parseExposition(await pageOf(daemon))),
  );
  const families = pages.flatMap((page) =>
    [...page].filter(([name]) => name.startsWith('hearth_')),
  );
  return new Map(families.flatMap(([, family]) => keyed(family)));
}

function keyed({ samples }: Family): [string, number][] {
  return samples.map(({ name, labels, value }) => {
    const pairs = Object.entries(labels).sort();
    const text = pairs.map(([label, of]) => `${label}="${of}"`).join(',');
    return [text === '' ? name : `${name}{${text}}`, value];
  });
}

interface Row {
  name: string;
  kind: string;
  labels: string[];
}

/** The rows of one table of docs/metrics.md. */
function documented(title: string): Row[] {
  const text = readFileSync(join(packageRoot, 'docs/metrics.md'), 'utf8');
  const section = text.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? '';
  return [...section.matchAll(/^\| `(\w+)` \| (\w+) \|([^|]*)\|/gm)].map((match) => {
    const [, name = '', kind = '', labels = ''] = match;
    return {
      name,
      kind,
      labels: labels
        .split(',')
        .map((l) => l.trim())
        .filter(Boolean)
        .sort(),
    };
  });
}

/** What is installed of Prometheus' own: promtool, which exits with 1 for a page it cannot read, and the parser of its Python client. */
function checkWithPrometheus(t: TestContext, page: string): void {
  const promtool = spawnSync('promtool', ['check', 'metrics'], { input: page, encoding: 'utf8' });
  if (promtool.error === undefined) assert.notEqual(promtool.status, 1, promtool.stderr);
  const client = spawnSync('/usr/bin/python3', ['-c', READ_FAMILIES], {
    input: page,
    encoding: 'utf8',
  });
  if (client.status === CLIENT_MISSING || client.error !== undefined) {
    const how = promtool.error === undefined ? 'promtool' : 'our own reader only';
    t.diagnostic(`python3-prometheus-client is not installed: read by ${how}`);
    return;
  }
  assert.equal(client.status, 0, client.stderr);
  // It names counters without their _total
  const names = [...parseExposition(page)].map(([name, { type }]) =>
    type === 'counter' ? name.replace(/_total$/, '') : name,
  );
  const read = client.stdout.split('\n').filter(Boolean);
  assert.deepEqual(read.sort(), names.sort());
}
