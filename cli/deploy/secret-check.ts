import { basename } from 'node:path';

const KEY_FILES = /^(id_rsa|id_dsa|id_ecdsa|id_ed25519)$/;
const ENV_FILE = /^\.env(\..+)?$/;
const ENV_SAMPLE = /\.(example|sample|template|dist)$/;
const SECRET_NAME = /(SECRET|TOKEN|PASSWORD|PASSWD|PRIVATE|CREDENTIAL|API_?KEY|ACCESS_?KEY)/i;
const NPM_LOGIN = /_(authToken|auth|password)\s*=/;
const PEM_PRIVATE = /-----BEGIN ([A-Z]+ )*PRIVATE KEY-----/;

/** Whether a file is worth reading for `secretIn`: only names that often hold secrets are. */
export function mayHoldSecret(path: string): boolean {
  const name = basename(path);
  return (
    KEY_FILES.test(name) ||
    (ENV_FILE.test(name) && !ENV_SAMPLE.test(name)) ||
    name === '.npmrc' ||
    name === '.netrc' ||
    name === '.pypirc' ||
    name.endsWith('.pem') ||
    name.endsWith('.key')
  );
}

/** What in the file looks like a secret, in words; undefined when nothing does. */
export function secretIn(path: string, text: string): string | undefined {
  const name = basename(path);
  if (ENV_FILE.test(name)) {
    const keys = text.split('\n').filter((line) => SECRET_NAME.test(line.split('=', 1)[0] ?? ''));
    if (keys.length === 0) return undefined;
    return keys.length === 1
      ? '1 key looks like a secret'
      : `${keys.length} keys look like secrets`;
  }
  if (name === '.npmrc') return NPM_LOGIN.test(text) ? 'it holds a login' : undefined;
  if (name === '.netrc' || name === '.pypirc') {
    return /password/i.test(text) ? 'it holds a login' : undefined;
  }
  return KEY_FILES.test(name) || PEM_PRIVATE.test(text) ? 'it is a private key' : undefined;
}
