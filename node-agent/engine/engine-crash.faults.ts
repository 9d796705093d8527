import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FAILPOINT_NAMES } from './failpoint-names.ts';
import { missingForContainers } from './testing/busybox-layer.ts';
import { crashAtEach } from './testing/crash-run.ts';

const skip = missingForContainers() ?? false;
const TIMES = 3;

describe('kill -9 at each failpoint, one after the other', { skip }, () => {
  for (let n = 1; n <= TIMES; n++) {
    test(`time ${n} of ${TIMES}`, async (t) => {
      assert.deepEqual(await crashAtEach(t, FAILPOINT_NAMES), []);
    });
  }
});
