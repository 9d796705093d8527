/** A word of an instruction as it is written, quotes and escapes included. */
export interface Word {
  text: string;
  /** Of its first sign in the joined line. */
  offset: number;
}

/** Splits at white space, as FROM and COPY do: quotes mean nothing here. */
export function splitPlain(text: string, base: number): Word[] {
  return [...text.matchAll(/[^\s]+/g)].map((match) => ({
    text: match[0],
    offset: base + match.index,
  }));
}

/** Splits at white space outside quotes, as ENV, LABEL and ARG do (BuildKit's `parseWords`). */
export function splitQuoted(text: string, base: number, escapeSign: string): Word[] {
  const words: Word[] = [];
  let at = 0;
  while (at < text.length) {
    while (/\s/.test(text[at] ?? '')) at++;
    if (at >= text.length) break;
    const end = wordEnd(text, at, escapeSign);
    words.push({ text: text.slice(at, end), offset: base + at });
    at = end;
  }
  return words;
}

/** Offset of the first sign after the word that begins at `start`. */
export function wordEnd(text: string, start: number, escapeSign: string): number {
  let quote = '';
  let at = start;
  while (at < text.length) {
    const sign = text[at] ?? '';
    if (sign === escapeSign && quote !== "'") at++;
    else if (quote === '' && /\s/.test(sign)) return at;
    else if (quote === '' && (sign === '"' || sign === "'")) quote = sign;
    else if (sign === quote) quote = '';
    at++;
  }
  return Math.min(at, text.length);
}

/** Whether a quote is begun and not ended. */
export function hasOpenQuote(text: string, escapeSign: string): boolean {
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const sign = text[at] ?? '';
    if (sign === escapeSign && quote !== "'") at++;
    else if (quote === '' && (sign === '"' || sign === "'")) quote = sign;
    else if (sign === quote) quote = '';
  }
  return quote !== '';
}

/** The word without its quotes and escapes; variables stay as they are written. */
export function unquote(text: string, escapeSign: string): string {
  let plain = '';
  let quote = '';
  for (let at = 0; at < text.length; at++) {
    const sign = text[at] ?? '';
    if (sign === escapeSign && quote !== "'" && at + 1 < text.length) plain += text[++at];
    else if (quote === '' && (sign === '"' || sign === "'")) quote = sign;
    else if (sign === quote) quote = '';
    else plain += sign;
  }
  return plain;
}
