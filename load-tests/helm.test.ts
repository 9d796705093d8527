import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { CONFIG_KEYS, envOf } from '../lib/config.ts';
import { packageRoot } from '../lib/paths.ts';
import { VERSION } from '../lib/version.ts';
import { obtainHelm } from './programs/helm.ts';
import { type Ran, run } from './programs/run.ts';

const CHART = join(packageRoot, 'helm/hearth');

interface Container {
  image: string;
  args?: string[];
  env?: { name: string; value?: string }[];
  securityContext?: {
    privileged?: boolean;
    allowPrivilegeEscalation?: boolean;
    capabilities?: { drop?: string[]; add?: string[] };
  };
  resources?: { requests?: object };
}

interface Pod {
  securityContext?: { runAsNonRoot?: boolean; seccompProfile?: { type?: string } };
  hostNetwork?: boolean;
  hostPID?: boolean;
  hostIPC?: boolean;
  serviceAccountName?: string;
  containers: Container[];
  volumes?: Record<string, unknown>[];
}

interface Manifest {
  kind: string;
  metadata: { name: string };
  spec: { template: { spec: Pod } };
}

let helm: Awaited<ReturnType<typeof obtainHelm>>;
before(async () => {
  helm = await obtainHelm();
});

/** Helm's answer; undefined, and the test is skipped, where there is no helm. */
async function call(
  t: { skip(message: string): void },
  ...args: string[]
): Promise<Ran | undefined> {
  if ('path' in helm) return await run(helm.path, args);
  t.skip(`needs helm: ${helm.missing}`);
  return undefined;
}

async function render(
  t: { skip(message: string): void },
  ...sets: string[]
): Promise<Manifest[] | undefined> {
  const args = sets.flatMap((set) => ['--set', set]);
  const ran = await call(t, 'template', 'demo', CHART, ...args);
  if (ran === undefined) return undefined;
  assert.equal(ran.code, 0, ran.stderr);
  return parseAllDocuments(ran.stdout)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

function podOf(manifests: Manifest[], name: string): Pod {
  const found = manifests.find(
    ({ kind, metadata }) =>
      metadata.name === name && ['Deployment', 'StatefulSet', 'DaemonSet'].includes(kind),
  );
  assert.ok(found !== undefined, `no workload ${name}`);
  return found.spec.template.spec;
}

/** Kubernetes' Pod Security Standard "restricted", v1.34: what is against it. */
function restrictedFaults(pod: Pod): string[] {
  const faults: string[] = [];
  if (pod.securityContext?.runAsNonRoot !== true) faults.push('runAsNonRoot');
  if (pod.securityContext?.seccompProfile?.type !== 'RuntimeDefault') faults.push('seccompProfile');
  if (pod.hostNetwork || pod.hostPID || pod.hostIPC) faults.push('host namespaces');
  const kinds = ['configMap', 'csi', 'downwardAPI', 'emptyDir', 'persistentVolumeClaim', 'secret'];
  for (const volume of pod.volumes ?? []) {
    if (!kinds.some((kind) => kind in volume)) faults.push(`volume ${JSON.stringify(volume)}`);
  }
  for (const { securityContext } of pod.containers) {
    if (securityContext?.privileged === true) faults.push('privileged');
    if (securityContext?.allowPrivilegeEscalation !== false) faults.push('privilege escalation');
    if (!securityContext?.capabilities?.drop?.includes('ALL')) faults.push('capabilities kept');
    if (securityContext?.capabilities?.add !== undefined) faults.push('capabilities added');
  }
  return faults;
}

test('helm lint finds nothing', async (t) => {
  const ran = await call(t, 'lint', '--strict', CHART);
  if (ran !== undefined) assert.equal(ran.code, 0, ran.stdout + ran.stderr);
});

test('gateway, scheduler and Redis are restricted; only what runs containers is privileged', async (t) => {
  const manifests = await render(t);
  if (manifests === undefined) return;
  for (const name of ['demo-gateway', 'demo-scheduler', 'demo-redis']) {
    assert.deepEqual(restrictedFaults(podOf(manifests, name)), [], name);
  }
  for (const name of ['demo-node-agent', 'demo-builder']) {
    assert.equal(podOf(manifests, name).containers[0]?.securityContext?.privileged, true, name);
  }
});

test('each daemon has its own entry, identity and settings that the daemons know', async (t) => {
  const manifests = await render(t);
  if (manifests === undefined) return;
  const known = new Set(Object.keys(CONFIG_KEYS).map(envOf));
  for (const name of ['HEARTH_TOKEN', 'HEARTH_CLUSTER_TOKEN', 'POD_IP']) known.add(name);
  for (const component of ['gateway', 'scheduler', 'builder', 'node-agent']) {
    const pod = podOf(manifests, `demo-${component}`);
    const [container] = pod.containers;
    assert.deepEqual(container?.args, [`dist/${component}/main.js`]);
    assert.equal(container?.image, `hearth:${VERSION}`);
    assert.equal(pod.serviceAccountName, `demo-${component}`);
    assert.ok(container?.resources?.requests !== undefined);
    const names = container?.env?.map((variable) => variable.name) ?? [];
    assert.deepEqual(
      names.filter((name) => !known.has(name)),
      [],
    );
    assert.equal(new Set(names).size, names.length);
  }
});

test('an outside Redis and registry replace those of the chart', async (t) => {
  const sets = ['redis.url=rediss://r.example:6380', 'registry.url=https://images.example'];
  const manifests = await render(t, ...sets);
  if (manifests === undefined) return;
  assert.equal(
    manifests.some(({ metadata }) => metadata.name === 'demo-redis'),
    false,
  );
  const env = podOf(manifests, 'demo-node-agent').containers[0]?.env ?? [];
  const settingOf = (name: string): unknown =>
    env.find((variable) => variable.name === name)?.value;
  assert.equal(settingOf('HEARTH_REDIS_URL'), 'rediss://r.example:6380');
  assert.equal(settingOf('HEARTH_REGISTRY_URL'), 'https://images.example');
});

const BAD = [
  'gateway.prot=8080',
  'gateway.port=0',
  'gateway.replicas=0',
  'redis.url=http://x',
  'logLevel=loud',
  'nodeAgent.subnet=everything',
  'nodeAgent.dataRoot=relative',
];

for (const set of BAD) {
  test(`a bad value is refused: ${set}`, async (t) => {
    const ran = await call(t, 'template', 'demo', CHART, '--set', set);
    if (ran === undefined) return;
    assert.notEqual(ran.code, 0);
    assert.match(ran.stderr, new RegExp(set.split(/[.=]/).at(-2) ?? ''));
  });
}
