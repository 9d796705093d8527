import { testAttacks } from './testing/attack-tests.ts';

testAttacks({
  windowMs: 2_000,
  zombies: 1_000,
  files: 2_000,
  folders: 2_000,
  floodBytes: 16 * 1024 * 1024,
});
