import { after, before, describe, test } from 'node:test';
import { missingForAttacks } from './attack.ts';
import { type AttackScale, type AttackTest, AttackWorld } from './attack-world.ts';
import { attackByMemory } from './memory-attacks.ts';
import { attackByProcesses } from './process-attacks.ts';
import { attackByFiles } from './storage-attacks.ts';

/** RES-1 to RES-9 of the security design, each beside a neighbour that serves. */
export function testAttacks(scale: AttackScale): void {
  describe('attacks on the machine', { skip: missingForAttacks() ?? false }, () => {
    let on: AttackWorld;
    before(async () => {
      on = await AttackWorld.make(scale);
    });
    after(() => on.close());
    const attack: AttackTest = (name, act) => {
      test(name, (t) => act(on, t));
    };
    attackByProcesses(attack);
    attackByMemory(attack);
    attackByFiles(attack);
  });
}
