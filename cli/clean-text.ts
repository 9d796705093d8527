/**
 * `text` with everything that could steer a terminal made visible: C0 and C1 controls (escape
 * sequences begin with one of them) and bidirectional overrides; tab and line feed stay.
 */
export function cleanText(text: string): string {
  return text.replace(UNSAFE, (sign) => {
    const code = sign.codePointAt(0) ?? 0;
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** As `cleanText`, on one line: line feeds are shown too and a trailing one is dropped. */
export function cleanLine(text: string): string {
  return cleanText(text.replace(/[\r\n]+$/, '')).replaceAll('\n', '\\n');
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are the subject
const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
