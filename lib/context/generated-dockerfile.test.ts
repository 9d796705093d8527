import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateDockerfile } from './generated-dockerfile.ts';

const PACKAGE = JSON.stringify({ dependencies: { left: '1' } });

test('generateDockerfile() installs only when there is something to install', () => {
  const plain = generateDockerfile(
    { runtime: 'node', handler: '' },
    { names: ['index.js', 'package.json'], packageJson: '{}' },
  );
  assert.deepEqual(plain, {
    text: [
      'FROM hearth/node:24',
      'WORKDIR /app',
      'COPY --chown=65532:65532 . .',
      'USER 65532',
      'CMD ["node","/opt/hearth/guest/node/main.js"]',
      '',
    ].join('\n'),
    excludes: [],
  });
});

test('generateDockerfile() installs exactly what a lock file says', () => {
  const names = ['package.json', 'package-lock.json', 'index.js'];
  const locked = generateDockerfile(
    { runtime: 'node', handler: 'index.js' },
    { names, packageJson: PACKAGE },
  );
  assert.match(locked.text, /^COPY package\.json package-lock\.json \.\/$/m);
  assert.match(locked.text, /^RUN npm ci --omit=dev /m);
  assert.match(locked.text, /^ENV HEARTH_HANDLER='index\.js'$/m);
  assert.deepEqual(locked.excludes, ['node_modules']);
  const free = generateDockerfile(
    { runtime: 'node', handler: '' },
    { names: ['package.json'], packageJson: PACKAGE },
  );
  assert.match(free.text, /^RUN npm install /m);
});

test('generateDockerfile() writes Python with and without requirements', () => {
  const spec = { runtime: 'python', handler: '' } as const;
  assert.doesNotMatch(generateDockerfile(spec, { names: ['main.py'] }).text, /pip/);
  assert.match(
    generateDockerfile(spec, { names: ['main.py', 'requirements.txt'] }).text,
    /^RUN python3 -m pip install --no-cache-dir -r requirements\.txt$/m,
  );
});

test('generateDockerfile() refuses a package.json that is not JSON, and a handler with quotes', () => {
  assert.throws(
    () => generateDockerfile({ runtime: 'node', handler: '' }, { names: [], packageJson: '{' }),
    { code: 'ContextInvalid' },
  );
  assert.throws(
    () => generateDockerfile({ runtime: 'node', handler: "a'\nRUN x" }, { names: [] }),
    { code: 'ContextInvalid' },
  );
});
