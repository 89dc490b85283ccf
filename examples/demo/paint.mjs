const { stdout, env } = process;
const isColoured = Boolean(stdout.isTTY) && !env.NO_COLOR && env.TERM !== 'dumb';

const paint = (code) => (text) => (isColoured ? `\x1b[${code}m${text}\x1b[0m` : String(text));

export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);
export const yellow = paint(33);
export const cyan = paint(36);

export const columns = Math.min(Math.max(stdout.columns || 110, 60), 120);

const WIDE = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}]/u;

/** The width of a text in columns. */
export function widthOf(text) {
  let width = 0;
  // eslint-disable-next-line no-control-regex -- colours have no width
  for (const character of text.replace(/\x1b\[\d+m/g, '')) width += WIDE.test(character) ? 2 : 1;
  return width;
}

export function padEnd(text, width) {
  return text + ' '.repeat(Math.max(0, width - widthOf(text)));
}

export function padStart(text, width) {
  return ' '.repeat(Math.max(0, width - widthOf(text))) + text;
}
