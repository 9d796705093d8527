import { randomBytes, randomUUID } from 'node:crypto';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** A short random id, `prefix-` + 12 Crockford base-32 signs (60 bits): names of builds, instances. */
export function newId(prefix: string): string {
  let text = '';
  for (const byte of randomBytes(12)) text += ALPHABET[byte & 31];
  return `${prefix}-${text}`;
}

/** A call id: UUID version 4. */
export function newCallId(): string {
  return randomUUID();
}

/** A bearer token: 32 random bytes in base64url. */
export function newToken(): string {
  return randomBytes(32).toString('base64url');
}
