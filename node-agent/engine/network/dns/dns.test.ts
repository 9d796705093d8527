import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { decode, encode, type Packet } from 'dns-packet';
import fc from 'fast-check';
import { parseSubnet } from '../subnet.ts';
import { answerLocally, fitUdp, NAME_ERROR, readQuery, refusal } from './answer.ts';
import { Forwarder, isAnswerTo } from './forwarder.ts';
import { NameTable } from './name-table.ts';
import { SourceRate } from './rate.ts';
import { frame, StreamFrames } from './stream-frames.ts';

const SUBNET = parseSubnet('10.9.0.0/24');

function question(name: string, type = 'A', more: Partial<Packet> = {}): Buffer {
  const questions = [{ name, type }] as NonNullable<Packet['questions']>;
  return encode({ type: 'query', id: 7, flags: 0x100, questions, ...more });
}

function tableOf(...names: string[]): NameTable {
  const table = new NameTable();
  names.forEach((hostname, n) => {
    table.add({ id: `id-${n}`, hostname, aliases: ['svc'], address: `10.9.0.${n + 2}` });
  });
  return table;
}

/** RFC 1035 4.1.1; dns-packet's types leave it out. */
function codeOf(packet: { flags?: number | undefined } | undefined): number {
  return (packet?.flags ?? 15) & 15;
}

function ask(packet: Buffer, table = tableOf('web')) {
  const read = readQuery(packet);
  assert.ok('query' in read);
  const answer = answerLocally(read.query, { table, subnet: SUBNET });
  return answer === undefined ? undefined : decode(answer);
}

test('a name is answered with its addresses, in any case, with nothing for other types', () => {
  const found = ask(question('WEB.'.slice(0, -1)));
  assert.deepEqual([found?.id, codeOf(found), found?.flag_aa], [7, 0, true]);
  assert.deepEqual(
    found?.answers?.map((answer) => 'data' in answer && answer.data),
    ['10.9.0.2'],
  );
  for (const type of ['AAAA', 'MX', 'TXT', 'SRV']) {
    const empty = ask(question('web', type));
    assert.deepEqual([codeOf(empty), empty?.answers], [0, []]);
  }
  assert.equal(ask(question('example.com')), undefined);
});

test('a shared name is answered with all, in turn, and never with more than fits', () => {
  const table = tableOf(...Array.from({ length: 40 }, (_, n) => `c${n}`));
  const firsts = Array.from({ length: 40 }, () => table.addressesOf('svc')[0]);
  assert.equal(new Set(firsts).size, 40);
  assert.equal(table.addressesOf('svc').length, 16);
  const read = readQuery(question('svc'));
  assert.ok('query' in read);
  const answer = answerLocally(read.query, { table, subnet: SUBNET });
  assert.ok(answer !== undefined && answer.length <= 512);
});

test('an address of the network is answered with its name, others are others’ to answer', () => {
  const found = ask(question('2.0.9.10.in-addr.arpa', 'PTR'));
  assert.deepEqual(
    found?.answers?.map((answer) => 'data' in answer && answer.data),
    ['web'],
  );
  assert.equal(codeOf(ask(question('9.0.9.10.in-addr.arpa', 'PTR'))), NAME_ERROR);
  assert.equal(ask(question('2.0.10.10.in-addr.arpa', 'PTR')), undefined);
  assert.equal(ask(question('300.0.9.10.in-addr.arpa', 'PTR')), undefined);
});

test('a name goes with its last container', () => {
  const table = tableOf('a', 'b');
  table.remove('10.9.0.2');
  assert.deepEqual(table.addressesOf('svc'), ['10.9.0.3']);
  assert.ok(!table.knows('a'));
  table.remove('10.9.0.3');
  table.remove('10.9.0.3');
  assert.ok(!table.knows('svc'));
});

test('what is no question gets no answer, or one that says so, and never an exception', () => {
  const fault = (packet: Buffer) => {
    const read = readQuery(packet);
    return 'fault' in read ? (read.fault?.code ?? 'none') : 'query';
  };
  assert.equal(fault(Buffer.alloc(11)), 'none');
  assert.equal(fault(encode({ type: 'response', id: 7, questions: [] })), 'none');
  assert.equal(fault(encode({ type: 'query', id: 7, questions: [] })), 1);
  assert.equal(fault(Buffer.concat([question('web').subarray(0, 14)])), 1);
  const status = question('web');
  status[2] = 0x10;
  assert.equal(fault(status), 4);
  const chaos = question('web');
  chaos[chaos.length - 1] = 3;
  assert.equal(fault(chaos), 5);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const packet = Buffer.concat([question('web').subarray(0, 12), Buffer.from(bytes)]);
      const read = readQuery(packet);
      if ('fault' in read && read.fault !== undefined) refusal(read.fault, read.fault.code);
    }),
  );
});

test('an answer that is too long for its asker says that there is more', () => {
  const plain = readQuery(question('web'));
  const option = { type: 'OPT', name: '.', udpPayloadSize: 4096 } as never;
  const wide = readQuery(question('web', 'A', { additionals: [option] }));
  assert.ok('query' in plain && 'query' in wide);
  assert.deepEqual([plain.query.udpBytesMax, wide.query.udpBytesMax], [512, 1232]);
  const long = Buffer.alloc(600);
  const cut = decode(fitUdp(plain.query, long));
  assert.deepEqual([cut.flag_tc, cut.id, cut.answers], [true, 7, []]);
  assert.equal(fitUdp(wide.query, long), long);
  assert.equal(codeOf(decode(refusal(plain.query, NAME_ERROR))), NAME_ERROR);
});

test('only the same number and question make an answer', () => {
  const asked = question('web.example');
  const answer = (more: Packet) => encode({ type: 'response', id: 7, ...more });
  const same = [{ name: 'WEB.example', type: 'A' }] as const;
  assert.ok(isAnswerTo(asked, answer({ questions: [...same] })));
  assert.ok(!isAnswerTo(asked, answer({ id: 8, questions: [...same] })));
  assert.ok(!isAnswerTo(asked, answer({ questions: [{ name: 'web.evil', type: 'A' }] })));
  assert.ok(!isAnswerTo(asked, answer({ questions: [{ name: 'web.example', type: 'AAAA' }] })));
  assert.ok(!isAnswerTo(asked, question('web.example')));
  assert.ok(!isAnswerTo(asked, Buffer.alloc(4)));
});

test('a stream is cut into packets wherever it was broken', () => {
  const packets = [question('a'), question('b.c'), Buffer.alloc(0)];
  const stream = Buffer.concat(packets.map(frame));
  for (const size of [1, 2, 5, 1000]) {
    const frames = new StreamFrames();
    const found: Buffer[] = [];
    for (let at = 0; at < stream.length; at += size)
      found.push(...frames.push(stream.subarray(at, at + size)));
    assert.deepEqual(
      found.map((one) => one.toString('hex')),
      packets.map((one) => one.toString('hex')),
    );
  }
});

test('an asker’s bucket fills with time, and is its own', () => {
  const rate = new SourceRate({ burst: 2, perSecond: 1 });
  assert.deepEqual(
    [0, 0, 0, 999, 1000, 1500].map((nowMs) => rate.admits('a', nowMs)),
    [true, true, false, false, true, false],
  );
  assert.ok(rate.admits('b', 0));
});

async function upstream(
  t: TestContext,
  onMessage: (socket: Socket, packet: Buffer, port: number) => void,
): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (packet, { port }) => onMessage(socket, packet, port));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.after(() => socket.close());
  return socket.address().port;
}

function answerOf(packet: Buffer, data: string, id?: number): Buffer {
  const { questions = [], id: own = 0 } = decode(packet);
  const answers = [{ name: questions[0]?.name ?? '', type: 'A', data }] as const;
  return encode({ type: 'response', id: id ?? own, questions, answers: [...answers] });
}

test('a forwarded question has a number and a port of its own, and false answers are not heard', async (t) => {
  const seen: { id: number; port: number }[] = [];
  const port = await upstream(t, (socket, packet, from) => {
    const id = packet.readUInt16BE(0);
    seen.push({ id, port: from });
    socket.send(answerOf(packet, '192.0.2.66', id ^ 1), from, '127.0.0.1');
    socket.send(answerOf(question('other.example'), '192.0.2.66', id), from, '127.0.0.1');
    socket.send(Buffer.from('x'), from, '127.0.0.1');
    socket.send(answerOf(packet, '192.0.2.1'), from, '127.0.0.1');
  });
  const forwarder = new Forwarder({ resolvers: () => ['127.0.0.1'], port });
  const from = { source: '10.9.0.2', stream: false };
  const answers = await Promise.all([1, 2, 3, 4].map(() => forwarder.ask(question('a.b'), from)));
  for (const answer of answers) {
    assert.ok(answer !== undefined);
    const { id, answers: records = [] } = decode(answer);
    assert.deepEqual([id, records.map((one) => 'data' in one && one.data)], [7, ['192.0.2.1']]);
  }
  assert.equal(new Set(seen.map((one) => one.port)).size, 4);
  assert.ok(new Set(seen.map((one) => one.id)).size > 1);
});

test('one asker leaves room for others; a name server that is silent is given up', async (t) => {
  let count = 0;
  const port = await upstream(t, () => {
    count += 1;
  });
  const forwarder = new Forwarder({ resolvers: () => ['127.0.0.1'], port });
  const flood = Array.from({ length: 100 }, () =>
    forwarder.ask(question('a.b'), { source: 'a', stream: false }),
  );
  const other = forwarder.ask(question('a.b'), { source: 'b', stream: false });
  assert.deepEqual(new Set(await Promise.all([...flood, other])), new Set([undefined]));
  assert.equal(count, 64 + 1);
});

test('a name server to which no way leads is passed over', async (t) => {
  const port = await upstream(t, (socket, packet, from) => {
    socket.send(answerOf(packet, '192.0.2.1'), from, '127.0.0.1');
  });
  // A socket may not be connected to a broadcast address, as to none while the host is offline
  const resolvers = () => ['255.255.255.255', '127.0.0.1'];
  for (const stream of [false, true]) {
    const forwarder = new Forwarder({ resolvers, port });
    const answer = await forwarder.ask(question('a.b'), { source: 'a', stream });
    assert.equal(answer === undefined, stream);
  }
});

test('questions over TCP are forwarded over TCP', async (t) => {
  const server = createServer((socket) => {
    const frames = new StreamFrames();
    socket.on('data', (chunk) => {
      for (const packet of frames.push(chunk)) socket.end(frame(answerOf(packet, '192.0.2.2')));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const forwarder = new Forwarder({ resolvers: () => ['127.0.0.1'], port });
  const answer = await forwarder.ask(question('a.b'), { source: 'a', stream: true });
  assert.ok(answer !== undefined);
  assert.equal(decode(answer).answers?.length, 1);
});
