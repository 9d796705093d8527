import { randomInt } from 'node:crypto';

const FIRST =
  'amber ashen brave brisk calm clear cosy deep early ember fair fiery gentle glad golden kind light lucid merry mild neat quick quiet ready red rosy sharp slow soft still sunny swift tidy warm wise'.split(
    ' ',
  );
const SECOND =
  'anvil basket beacon bellows brick candle chimney cinder coal flame flint forge grate hearth iron kettle kiln lamp lantern log match oven pan pot range roast spark stove tinder toast torch trivet wick wood'.split(
    ' ',
  );
const TRIES_MAX = 20;

/** A name that people can say, such as `warm-kettle`, and that `isTaken` does not know. */
export function madeUpName(isTaken: (name: string) => boolean): string {
  for (let i = 0; i < TRIES_MAX; i++) {
    const name = `${pick(FIRST)}-${pick(SECOND)}`;
    if (!isTaken(name)) return name;
  }
  return `${pick(FIRST)}-${pick(SECOND)}-${randomInt(1e9).toString(36)}`;
}

function pick(words: readonly string[]): string {
  return words[randomInt(words.length)] ?? '';
}
