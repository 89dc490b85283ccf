/** One challenge of a WWW-Authenticate header. Scheme and parameter names are lower case; `params` has no prototype. */
export interface Challenge {
  /** The name of the scheme, such as `bearer`. */
  readonly scheme: string;
  /** The parameters, such as `realm` and `error`; empty if there are none. */
  readonly params: Readonly<Record<string, string>>;
  /** The single value after the scheme, as Negotiate and NTLM send it (RFC 9110 §11.2). */
  readonly token68?: string;
}

const LONGEST_HEADER = 16_384;
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const TOKEN_68 = /[0-9A-Za-z\-._~+/]+=*(?=[ \t]*(?:,|$))/y;
// eslint-disable-next-line no-control-regex -- a quoted-string may not hold control characters (RFC 9110 §5.6.4)
const QUOTED = /"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*"/y;
const EQUALS = /[ \t]*=[ \t]*/y;
const SPACE = /[ \t]+/y;
const GAP = /[ \t,]*/y;

/**
 * Reads the challenges of one WWW-Authenticate header or of several (RFC 9110 §11.6.1). One header may hold many challenges,
 * since commas separate both challenges and parameters. Of a parameter that is given twice, the last one counts.
 *
 * @returns The challenges in their order. A header that is malformed or longer than 16 KiB gives none. It never throws, and takes
 *   time linear in the header's length.
 */
export function parseChallenges(wwwAuthenticate: string | readonly string[] | undefined): Challenge[] {
  const headers: readonly unknown[] = Array.isArray(wwwAuthenticate) ? wwwAuthenticate : [wwwAuthenticate];
  return headers.flatMap((header) =>
    typeof header === 'string' && header.length <= LONGEST_HEADER ? parseHeader(header) : [],
  );
}

function parseHeader(text: string): Challenge[] {
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const taken = pattern.exec(text)?.[0];
    at += taken?.length ?? 0;
    return taken;
  };
  const challenges: Challenge[] = [];
  take(GAP);
  while (at < text.length) {
    const scheme = take(TOKEN);
    if (scheme === undefined) return [];
    const params = Object.create(null) as Record<string, string>;
    let token68: string | undefined;
    if (take(SPACE) !== undefined) {
      token68 = take(TOKEN_68);
      if (token68 === undefined && !takeParams()) return [];
    }
    challenges.push({ scheme: scheme.toLowerCase(), params, ...(token68 !== undefined && { token68 }) });
    if (at < text.length && !take(GAP)?.includes(',') && at < text.length) return [];

    /** False where a parameter has begun but is malformed. */
    function takeParams(): boolean {
      for (let count = 0; ; count++) {
        const before = at;
        const gap = take(GAP) ?? '';
        const name = count === 0 || gap.includes(',') ? take(TOKEN) : undefined;
        if (name === undefined || take(EQUALS) === undefined) {
          at = before;
          return true;
        }
        const value = take(TOKEN) ?? unquoted(take(QUOTED));
        if (value === undefined) return false;
        params[name.toLowerCase()] = value;
      }
    }
  }
  return challenges;
}

function unquoted(quoted: string | undefined): string | undefined {
  return quoted?.slice(1, -1).replace(/\\(.)/gs, '$1');
}
