import assert from 'node:assert/strict';
import { test } from 'node:test';
import { functionTable } from './list.ts';

test('functionTable() leaves the revision out where the line would break', () => {
  const row = {
    name: 'hello',
    state: 'ready',
    generation: 1,
    url: 'http://127.0.0.1:8080/function/hello',
    traffic: [{ revisionId: 'hello-00001', percent: 100 }],
    instances: 1,
    memoryBytes: 1,
    updatedAtMs: 0,
  } as const;
  const wide = functionTable([{ ...row, traffic: [...row.traffic] }], 60_000, 120);
  assert.match(wide, /^NAME .* REVISION .* URL\nhello .* hello-00001 {2}1m ago .*http/);
  const narrow = functionTable([{ ...row, traffic: [...row.traffic] }], 60_000, 80);
  assert.doesNotMatch(narrow, /REVISION|hello-00001/);
  assert.ok(
    narrow.split('\n').every((line) => line.length <= 80),
    narrow,
  );
});
