import type { InternalAxiosRequestConfig } from 'axios';
import { originOf, redirectRefused } from './redirects.js';

/**
 * Removes all credentials when axios's http adapter follows a redirect to another origin. axios itself drops Authorization only.
 * The target is read after the caller's `beforeRedirect`, which may change it.
 *
 * @param credentialHeaders Lower-case names. undefined: nothing of the request may leave the origin, so the redirect is refused.
 * @returns a function that says whether a redirect has left the origin, even if another one came back.
 */
export function guardRedirects(
  copy: InternalAxiosRequestConfig,
  origin: string,
  credentialHeaders: readonly string[] | undefined,
): () => boolean {
  const { beforeRedirect } = copy;
  let hasLeft = false;
  const removeCredentials = (options: Options): void => {
    if (!hasLeft) return;
    if (!credentialHeaders) throw redirectRefused();
    const headers = (options['headers'] ?? {}) as Record<string, unknown>;
    for (const name of Object.keys(headers))
      if (credentialHeaders.includes(name.toLowerCase())) Reflect.deleteProperty(headers, name);
  };
  copy.beforeRedirect = (options, ...details) => {
    hasLeft ||= originOf(options['href']) !== origin;
    // Before the caller's hook, which must not see the credentials, and after it, since it may change the target.
    removeCredentials(options);
    const before = targetsOf(options);
    beforeRedirect?.(options, ...details);
    hasLeft ||= targetsOf(options).some((target, index) => target !== before[index] && target !== origin);
    removeCredentials(options);
  };
  return () => hasLeft;
}

type Options = Record<string, unknown>;

/** The origins in the options of follow-redirects: of `href`, of host and port, and of the path that a proxy gets. */
function targetsOf(options: Options): (string | undefined)[] {
  const { protocol, hostname, host, port, href, path } = options as Record<string, string | undefined>;
  const name = hostname ?? host ?? '';
  const authority = name.includes(':') && name === hostname ? `[${name.replace(/[[\]]/g, '')}]` : name;
  return [originOf(href), originOf(`${protocol ?? 'http:'}//${authority}${port ? `:${port}` : ''}`), originOf(path)];
}

/** This build guards every adapter; see platform.browser.ts. */
export const assertTransport: (transport: string) => void = () => undefined;
