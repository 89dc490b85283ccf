import type { InternalAxiosRequestConfig } from 'axios';
import { originOf, redirectRefused } from './redirects.js';

/**
 * Guards a call over axios's http adapter, which follows redirects by itself: credentials are removed once a redirect leaves
 * the origin. axios drops Authorization alone. The target is read after the caller's own `beforeRedirect`, which may change it.
 *
 * @param credentialHeaders Lower-case names. undefined: nothing of the request may leave the origin, so the redirect is refused.
 * @returns a function that says whether a redirect has left the origin, even if another one came back.
 */
export function guardRedirects(
  copy: InternalAxiosRequestConfig,
  origin: string,
  credentialHeaders: readonly string[] | undefined,
  _transport: string,
): () => boolean {
  const { beforeRedirect } = copy;
  let hasLeft = false;
  const guard = (options: Record<string, unknown>): void => {
    hasLeft ||= targetOf(options) !== origin;
    if (!hasLeft) return;
    if (!credentialHeaders) throw redirectRefused();
    const headers = (options['headers'] ?? {}) as Record<string, unknown>;
    for (const name of Object.keys(headers))
      if (credentialHeaders.includes(name.toLowerCase())) Reflect.deleteProperty(headers, name);
  };
  copy.beforeRedirect = (options, ...details) => {
    // Before the caller's hook, so that it does not see credentials of another origin; and again, since it may change the target.
    guard(options);
    beforeRedirect?.(options, ...details);
    guard(options);
  };
  return () => hasLeft;
}

/** follow-redirects sends to these fields; `href` only describes them. */
function targetOf(options: Record<string, unknown>): string | undefined {
  const { protocol, hostname, host, port, href } = options as Record<string, string | number | null | undefined>;
  const name = hostname ?? host;
  if (!name) return originOf(href);
  const isBareV6 = String(name).includes(':') && !String(name).startsWith('[') && name === hostname;
  return originOf(`${protocol ?? 'http:'}//${isBareV6 ? `[${name}]` : name}${port ? `:${String(port)}` : ''}`);
}
