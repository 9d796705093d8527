import { LIMITS } from '../../lib/limits.ts';
import { type Faults, type Fields, isObject, shown } from './fields.ts';

const LABEL_NAME = /^[a-zA-Z0-9]([a-zA-Z0-9._/-]{0,126}[a-zA-Z0-9])?$/;
/** Labels that say what the platform knows. */
const LABEL_RESERVED = 'hearth.';

/** A list of texts without NUL; empty, with a fault, for anything else. Absent: empty. */
export function parseTexts(
  fields: Fields,
  { key, max }: { key: string; max: number },
  faults: Faults,
): string[] {
  const value = fields[key];
  if (value === undefined) return [];
  const isTexts = Array.isArray(value) && value.every((item) => typeof item === 'string');
  if (!isTexts) {
    faults.add(`${key} must be a list of texts: current value is ${shown(value)}`);
    return [];
  }
  const texts = value as string[];
  if (texts.length > max) faults.add(`${key} has ${texts.length} entries, limit ${max}`);
  if (texts.some((text) => text.includes('\0'))) faults.add(`${key} has an entry with a NUL`);
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
  if (bytes > LIMITS.containerArgumentBytesMax) {
    faults.add(`${key} has ${bytes} bytes, limit ${LIMITS.containerArgumentBytesMax}`);
  }
  return texts.slice(0, max);
}

/** Environment variables: any name that execve(2) can carry. Absent: none. */
export function parseTextMap(fields: Fields, key: string, faults: Faults): Record<string, string> {
  const entries = textEntries(fields, key, faults);
  let bytes = 0;
  for (const [name, text] of entries) {
    if (name === '' || /[=\0]/.test(name)) faults.add(`${key} name ${shown(name)} is no name`);
    if (text.includes('\0')) faults.add(`${key} ${shown(name)} has a NUL`);
    bytes += Buffer.byteLength(name) + Buffer.byteLength(text) + 2;
  }
  if (bytes > LIMITS.containerEnvBytesMax) {
    faults.add(`${key} is ${bytes} bytes, limit ${LIMITS.containerEnvBytesMax}`);
  }
  return Object.fromEntries(entries);
}

/** Labels of a user's own. Absent: none. */
export function parseLabels(fields: Fields, faults: Faults): Record<string, string> {
  const entries = textEntries(fields, 'labels', faults);
  if (entries.length > LIMITS.labelCountMax) {
    faults.add(`${entries.length} labels, limit ${LIMITS.labelCountMax}`);
  }
  for (const [name, text] of entries) {
    if (name.startsWith(LABEL_RESERVED)) {
      faults.add(`label ${shown(name)} is reserved: ${LABEL_RESERVED} is the platform's`);
    } else if (!LABEL_NAME.test(name)) {
      faults.add(`label ${shown(name)} must match ${LABEL_NAME.source}`);
    }
    const bytes = Buffer.byteLength(text);
    if (bytes > LIMITS.labelValueBytesMax) {
      faults.add(`label ${shown(name)} has ${bytes} bytes, limit ${LIMITS.labelValueBytesMax}`);
    }
  }
  return Object.fromEntries(entries);
}

function textEntries(fields: Fields, key: string, faults: Faults): [string, string][] {
  const value = fields[key] ?? {};
  if (!isObject(value)) {
    faults.add(`${key} must be an object of texts: current value is ${shown(value)}`);
    return [];
  }
  return Object.entries(value).filter((entry): entry is [string, string] => {
    if (typeof entry[1] === 'string') return true;
    faults.add(`${key} ${shown(entry[0])} must be a text: current value is ${shown(entry[1])}`);
    return false;
  });
}
