/** Two columns each: CJK, Hangul, full-width forms, emoji. Combining marks take none. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}|[\u{20000}-\u{3fffd}]/u;
const ZERO = /^(\p{Mn}|\p{Me}|\u200b|\u200d|\ufe0f)$/u;

/** `text` cut to `columns` of a terminal, with an ellipsis where something is missing. */
export function fitColumns(text: string, columns: number): string {
  let used = 0;
  let kept = '';
  for (const sign of text) {
    const width = ZERO.test(sign) ? 0 : WIDE.test(sign) ? 2 : 1;
    if (used + width > columns - 1 && kept.length + sign.length < text.length) return `${kept}…`;
    used += width;
    kept += sign;
  }
  return kept;
}
