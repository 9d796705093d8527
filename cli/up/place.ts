import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoCode } from '../../lib/errors.ts';
import { rangeOf } from './plan.ts';

/** Networks and users of one platform's containers. */
export interface Place {
  /** IPv4 CIDR. */
  subnet: string;
  /** First host uid. */
  uidBase: number;
}

/** Places that a machine has: 10.62.0.0/16 to 10.70.0.0/16, with 134 million uids each. */
const PLACES = 9;
const FIRST_NET = 62;
const FIRST_UID = 0x2000_0000;
const UIDS = 0x0800_0000;

/** Destination and mask of each IPv4 route, of /proc/net/route (proc(5)): little-endian hex. */
export function parseRoutes(text: string): { first: number; last: number }[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split('\t');
    const [, destination = '', , , , , , mask = ''] = fields;
    if (!/^[0-9A-F]{8}$/.test(destination) || !/^[0-9A-F]{8}$/.test(mask)) return [];
    const first = Buffer.from(destination, 'hex').readUInt32LE();
    const bits = Buffer.from(mask, 'hex').readUInt32LE();
    // The default route covers everything and says nothing
    return bits === 0 ? [] : [{ first, last: first + (0xffff_ffff - bits) }];
  });
}

/** The first place whose addresses no route leads to; the first of all when none is free. */
export function pickPlace(routes: readonly { first: number; last: number }[]): Place {
  const places = Array.from({ length: PLACES }, (_, n) => ({
    subnet: `10.${FIRST_NET + n}.0.0/16`,
    uidBase: FIRST_UID + n * UIDS,
  }));
  const isFree = ({ subnet }: Place): boolean => {
    const { first, last } = rangeOf(subnet);
    return routes.every((route) => route.last < first || route.first > last);
  };
  return places.find(isFree) ?? (places[0] as Place);
}

/**
 * The place of a data root: chosen at its first start, so that two platforms on one machine do not
 * meet, and kept, as instances of a killed platform still have its addresses.
 */
export function placeOf(dataRoot: string): Place {
  const path = join(dataRoot, 'place.json');
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Place;
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT' && !(error instanceof SyntaxError)) throw error;
  }
  const place = pickPlace(parseRoutes(readFileSync('/proc/net/route', 'utf8')));
  writeFileSync(path, JSON.stringify(place), { mode: 0o600 });
  return place;
}
