import { testAttacks } from './testing/attack-tests.ts';

testAttacks({
  windowMs: 10_000,
  zombies: 10_000,
  files: 200_000,
  folders: 100_000,
  floodBytes: 256 * 1024 * 1024,
});
