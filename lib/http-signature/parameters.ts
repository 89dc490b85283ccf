import type * as StructuredHeaders from 'structured-headers';

/** Parameters of a component (RFC 9421 §2.1, §2.2.8, §2.4). */
export interface Parameters {
  /** The header as a structured field in strict form. Needs the package `structured-headers`. */
  sf?: true | undefined;
  /** Each line of the header as a byte sequence. */
  bs?: true | undefined;
  /** One member of a header that is a dictionary. Needs the package `structured-headers`. */
  key?: string | undefined;
  /** Name of a `@query-param`, percent-encoded. */
  name?: string | undefined;
  /** In a response: the component of its request. */
  req?: true | undefined;
}

/** Returns the value of a header or `@query-param` with parameters; undefined if the message has none. */
export async function valueWith(
  { bs, key, name }: Parameters,
  lines: readonly string[] | undefined,
  url: URL | undefined,
): Promise<string | undefined> {
  if (name !== undefined) return queryParam(url, name);
  if (!lines) return undefined;
  if (bs) return lines.map((line) => `:${btoa(line)}:`).join(', ');
  const { parseDictionary, parseList, serializeDictionary, serializeList } = await structuredHeaders();
  const value = lines.join(', ');
  if (key !== undefined) {
    const member = parseDictionary(value).get(key);
    return member && serializeList([member]);
  }
  // The type of the header is not known. A value that is both a list and a dictionary is written alike.
  try {
    return serializeList(parseList(value));
  } catch {
    return serializeDictionary(parseDictionary(value));
  }
}

/** Loads the optional peer. Inside `try`, bundlers do not insist on finding it. */
export async function structuredHeaders(): Promise<typeof StructuredHeaders> {
  try {
    return await import('structured-headers');
  } catch (cause) {
    const what = '`verify`, and components with `sf` or `key`,';
    throw new Error(`httpSignature(): ${what} need the package structured-headers`, { cause });
  }
}

/** @throws TypeError if the query has it twice: it is not defined which one is meant (RFC 9421 §2.2.8). */
function queryParam(url: URL | undefined, name: string): string | undefined {
  const [found, ...more] = [...(url?.searchParams ?? [])].filter(([key]) => percentEncode(key) === name);
  if (more.length > 0) throw new TypeError(`httpSignature(): the query has ${name} twice, so it cannot be covered`);
  return found && percentEncode(found[1]);
}

/** Like application/x-www-form-urlencoded, but a space is %20. */
function percentEncode(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1).replaceAll('+', '%20');
}
