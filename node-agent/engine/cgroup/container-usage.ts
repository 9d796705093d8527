import { readFile } from 'node:fs/promises';
import type { ContainerSpec } from '../container-spec.ts';
import type { ContainerStats } from '../container-stats.ts';
import { containerStats, type LinkTexts } from './cgroup-counters.ts';
import type { ContainerCgroup } from './container-cgroup.ts';

/** Reads what a container uses now; counters of files that went meanwhile are 0. */
export async function readStats(parts: {
  spec: ContainerSpec;
  cgroup: ContainerCgroup;
  network?: { veth: string };
}): Promise<ContainerStats> {
  const { cgroup, network, spec } = parts;
  const [texts, link] = await Promise.all([
    cgroup.texts(),
    network === undefined ? undefined : readLink(network.veth),
  ]);
  const at = { timeMs: Date.now(), ...(link === undefined ? {} : { link }) };
  return containerStats(texts, spec.resources, at);
}

/** Counters of a link of the host: sysfs-class-net-statistics. */
async function readLink(veth: string): Promise<LinkTexts> {
  const [rxBytes = '', txBytes = '', rxPackets = '', txPackets = ''] = await Promise.all(
    ['rx_bytes', 'tx_bytes', 'rx_packets', 'tx_packets'].map((name) =>
      readFile(`/sys/class/net/${veth}/statistics/${name}`, 'utf8').catch(() => ''),
    ),
  );
  return { rxBytes, txBytes, rxPackets, txPackets };
}
