/** One metric of a page in Prometheus' text format. */
export interface Family {
  type: string;
  help: string;
  samples: Sample[];
}

/** One line: name with suffix, labels, value. */
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;
const TYPES = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped']);
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/**
 * Reads a page strictly, as the text format 0.0.4 is defined: HELP and TYPE once and before the
 * samples, all lines of a metric together, no sample twice, buckets that only grow up to `+Inf`.
 * @throws Error that names the line
 */
export function parseExposition(page: string): Map<string, Family> {
  if (!page.endsWith('\n')) throw new Error('the last line has no end');
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let current = '';
  for (const line of page.split('\n')) {
    try {
      if (line === '') continue;
      if (line.startsWith('# ')) current = readComment(line, families, current);
      else readSample(line, { families, current, seen });
    } catch (error) {
      throw new Error(`${(error as Error).message}: ${line}`);
    }
  }
  for (const [name, family] of families) checkHistogram(name, family);
  return families;
}

function readComment(line: string, families: Map<string, Family>, current: string): string {
  const match = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line);
  if (match === null) return current;
  const [, kind = '', name = '', text = ''] = match;
  if (!NAME.test(name)) throw new Error('not a name');
  if (kind === 'TYPE' && !TYPES.has(text)) throw new Error('no such type');
  if (name !== current && families.has(name)) throw new Error('the metric is torn apart');
  const family = families.get(name) ?? { type: '', help: '', samples: [] };
  if (family.samples.length > 0) throw new Error('stands after the samples');
  const key = kind === 'TYPE' ? 'type' : 'help';
  if (family[key] !== '') throw new Error('stands twice');
  family[key] = text;
  families.set(name, family);
  return name;
}

interface Reading {
  families: Map<string, Family>;
  current: string;
  seen: Set<string>;
}

function readSample(line: string, { families, current, seen }: Reading): void {
  const match = /^([^{\s]+)(?:\{(.*)\})? (\S+)$/.exec(line);
  const [, name = '', labelText = '', valueText = ''] = match ?? [];
  const family = families.get(current);
  if (!NAME.test(name) || family === undefined) throw new Error('not a sample');
  const suffixes = SUFFIXES[family.type] ?? [''];
  if (!suffixes.some((suffix) => name === current + suffix)) throw new Error('of another metric');
  const labels = readLabels(labelText);
  const identity = `${name} ${JSON.stringify(Object.entries(labels).sort())}`;
  if (seen.has(identity)) throw new Error('the same sample twice');
  seen.add(identity);
  family.samples.push({ name, labels, value: readValue(valueText) });
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const [, name = '', value = ''] = LABEL.exec(text) ?? [];
    if (name === '') throw new Error('labels do not parse');
    if (name in labels) throw new Error('the same label twice');
    labels[name] = value.replace(/\\(.)/g, (_, sign: string) => (sign === 'n' ? '\n' : sign));
  }
  return labels;
}

function readValue(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  if (text === 'Nan' || text === 'NaN') return Number.NaN;
  const value = Number(text);
  if (!/^[-+\d.eE]+$/.test(text) || Number.isNaN(value)) throw new Error('not a number');
  return value;
}

function checkHistogram(name: string, { type, samples }: Family): void {
  if (type !== 'histogram') return;
  const series = new Map<string, Sample[]>();
  for (const sample of samples.filter((one) => one.name === `${name}_bucket`)) {
    const { le, ...rest } = sample.labels;
    const key = JSON.stringify(rest);
    series.set(key, [...(series.get(key) ?? []), sample]);
  }
  for (const [key, buckets] of series) {
    const counts = buckets.map(({ value }) => value);
    if (counts.some((count, at) => count < (counts[at - 1] ?? 0))) {
      throw new Error(`buckets of ${name} ${key} shrink`);
    }
    if (buckets.at(-1)?.labels.le !== '+Inf') throw new Error(`${name} ${key} lacks +Inf`);
  }
}
