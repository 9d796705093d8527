import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRuntimes } from './check-runtimes.ts';

test('a runtime that is not there is a warning with its path; none at all is well', async () => {
  const [none] = await checkRuntimes({});
  assert.deepEqual([none?.ok, none?.found], ['pass', 'none']);
  const [gone, echo] = await checkRuntimes({
    gone: { path: '/nowhere/gone' },
    echo: { path: process.execPath },
  });
  assert.deepEqual([gone?.name, gone?.ok], ['OCI runtime gone', 'warn']);
  assert.match(gone?.found ?? '', /\/nowhere\/gone/);
  assert.deepEqual([echo?.ok, echo?.found], ['pass', `${process.execPath}: ${process.version}`]);
});
