/** Human units of specs and flags, to numbers and back. All parsers return undefined on nonsense. */

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1024,
  kb: 1000,
  ki: 1024,
  kib: 1024,
  m: 1024 ** 2,
  mb: 1000 ** 2,
  mi: 1024 ** 2,
  mib: 1024 ** 2,
  g: 1024 ** 3,
  gb: 1000 ** 3,
  gi: 1024 ** 3,
  gib: 1024 ** 3,
};

/** `"128Mi"`, `"64m"` (Docker: binary), `"1.5GiB"`, `"500MB"` (decimal) → bytes. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]{0,3})$/i.exec(text.trim());
  const unit = BYTE_UNITS[(match?.[2] ?? '').toLowerCase()];
  if (match?.[1] === undefined || unit === undefined) return undefined;
  return Math.round(Number(match[1]) * unit);
}

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** `"30s"`, `"1m30s"`, `"250ms"`, or a bare number of seconds → milliseconds. */
export function parseDurationMs(text: string): number | undefined {
  const trimmed = text.trim();
  if (/^\d{1,9}(\.\d{1,3})?$/.test(trimmed)) return Math.round(Number(trimmed) * 1000);
  if (!/^(\d{1,9}(\.\d{1,3})?(ms|s|m|h))+$/.test(trimmed)) return undefined;
  let total = 0;
  for (const [, number, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    total += Number(number) * (DURATION_UNITS[unit ?? ''] ?? 0);
  }
  return Math.round(total);
}

/** `"0.5"` or `0.5` cores, `"500m"` → thousandths of a core. */
export function parseCpuMillis(text: string): number | undefined {
  const millis = /^(\d{1,6})m$/.exec(text.trim());
  if (millis !== null) return Number(millis[1]);
  const cores = /^\d{1,4}(\.\d{1,3})?$/.exec(text.trim());
  return cores === null ? undefined : Math.round(Number(cores[0]) * 1000);
}

/** 1536 → `"1.5 KiB"`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const text = unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, '');
  return `${text} ${units[unit]}`;
}

/** 90_500 → `"1m30s"`, 2_340 → `"2.3s"`, 45 → `"45ms"`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1).replace(/\.0$/, '') : ms.toFixed(0)}ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1).replace(/\.0$/, '')}s`;
  const minutes = Math.floor(ms / 60_000);
  const seconds = Math.round((ms % 60_000) / 1000);
  return seconds === 0 ? `${minutes}m` : `${minutes}m${seconds}s`;
}
