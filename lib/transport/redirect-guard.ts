import type { InternalAxiosRequestConfig } from 'axios';
import { originOf, redirectRefused, type Redirects } from './foreign.js';
import { hasSocketPath } from './platform.node.js';

/** What follow-redirects takes for the origin of a URL over a Unix socket. */
const SOCKET = 'http://[::1]';

/**
 * Removes all credentials when axios's http adapter follows a redirect to another origin. axios itself drops Authorization only.
 * The target is read after the caller's `beforeRedirect`, which may change it. A redirect back to the origin counts as foreign,
 * too.
 */
export function guardRedirects(copy: InternalAxiosRequestConfig, redirects: Redirects): void {
  const origin = hasSocketPath(copy) ? SOCKET : redirects.origin;
  const { beforeRedirect } = copy;
  copy.beforeRedirect = (options, ...details) => {
    redirects.hasLeftOrigin ||= originOf(options['href']) !== origin;
    // Before the caller's hook, which must not see the credentials, and after it, since it may change the target.
    removeCredentials(options, redirects);
    const before = targetsOf(options);
    beforeRedirect?.(options, ...details);
    redirects.hasLeftOrigin ||= targetsOf(options).some(
      (target, index) => target !== before[index] && target !== origin,
    );
    removeCredentials(options, redirects);
  };
}

type Options = Record<string, unknown>;

function removeCredentials(options: Options, { hasLeftOrigin, credentialHeaders }: Redirects): void {
  if (!hasLeftOrigin) return;
  if (!credentialHeaders) throw redirectRefused();
  const headers = (options['headers'] ?? {}) as Record<string, unknown>;
  for (const name of Object.keys(headers))
    if (credentialHeaders.includes(name.toLowerCase())) Reflect.deleteProperty(headers, name);
}

/** The origins in the options of follow-redirects: of `href`, of host and port, of a proxy's path. */
function targetsOf(options: Options): (string | undefined)[] {
  const { protocol, hostname, host, port, href, path } = options as Record<string, string | undefined>;
  const name = hostname ?? host ?? '';
  const authority = name.includes(':') && name === hostname ? `[${name.replace(/[[\]]/g, '')}]` : name;
  return [originOf(href), originOf(`${protocol ?? 'http:'}//${authority}${port ? `:${port}` : ''}`), originOf(path)];
}
