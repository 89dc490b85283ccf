import type { InternalAxiosRequestConfig } from 'axios';
import { AuthError } from '../errors.js';
import type { BareReason } from '../events.js';
import { assertHeader, hasOwnHeader } from '../http/header-values.js';
import { isPromise, type MaybePromise } from '../maybe-promise.js';
import type { Policy } from '../policy.js';
import type { SchemeState } from '../schemes/scheme-state.js';
import { fullUrl, resolveUrl, type Destination } from '../transport/origin.js';
import type { Attempt } from './attempt.js';

type Config = InternalAxiosRequestConfig;

/**
 * Chooses the schemes that run for an attempt: none for another origin, and none that writes a header which the call has set.
 * @throws AuthError if the call must not be sent at all.
 */
export function chooseSchemes(
  config: Config,
  destination: Destination,
  schemes: readonly SchemeState[],
  policy: Policy,
): { readonly schemes: readonly SchemeState[]; readonly bare?: BareReason } {
  if (schemes.length === 0) return { schemes, bare: 'none-given' };
  const running = schemes.filter(({ credentialHeaders }) => !bringsOwn(config, credentialHeaders));
  const [first] = running;
  if (!first) return { schemes: running, bare: 'own-credentials' };
  const { kind, origin, isSecure } = destination;
  if (kind === 'unknown')
    throw new AuthError(
      'ERR_AUTH_FOREIGN_ORIGIN',
      `Not sent: nothing says that ${origin} may receive credentials. Set the instance's baseURL, or attachAuth's \`origins: ['${origin}']\`.`,
    );
  if (kind === 'foreign') {
    if (policy.foreignOrigin !== 'refuse') return { schemes: [], bare: 'foreign-origin' };
    throw new AuthError(
      'ERR_AUTH_FOREIGN_ORIGIN',
      `Not sent: ${origin} is not one of the origins that may receive credentials (\`foreignOrigin: 'refuse'\`). Add it to \`origins\`.`,
    );
  }
  if (isSecure) return { schemes: running };
  throw new AuthError(
    'ERR_AUTH_INSECURE',
    `Not sent: ${String(first.scheme?.name)} credentials would go to ${origin} unencrypted. Use https, or \`allowInsecure\`.`,
  );
}

/** Lets the schemes write their headers, in their order. @returns undefined if all of them were ready at once. */
export function authorize(attempt: Attempt, schemes: readonly SchemeState[], config: Config): MaybePromise<void> {
  const [state, ...others] = schemes;
  if (!state) return undefined;
  const { request } = attempt;
  const before = { headers: { ...request.headers } as Record<string, unknown>, href: request.urlRead?.href };
  const next = (): MaybePromise<void> => {
    keepWritten(attempt, state, before, config);
    return authorize(attempt, others, config);
  };
  state.singleFlight?.sent(request);
  const written = state.scheme?.authorize(request);
  return isPromise(written) ? written.then(next) : next();
}

interface Before {
  readonly headers: Record<string, unknown>;
  /** undefined: nothing had read the URL yet. */
  readonly href: string | undefined;
}

/** axios sets these on most calls. They are no credentials, so a scheme may replace them. */
const NO_CREDENTIALS = ['accept', 'content-type'];

/** Checks what a scheme wrote. If it wrote a header that the call had set, all that it wrote is discarded. */
function keepWritten(attempt: Attempt, state: SchemeState, before: Before, config: Config): void {
  const { headers, urlRead, urlGiven } = attempt.request;
  const written: string[] = [];
  for (const name of Object.keys(headers)) {
    if (headers[name] === before.headers[name]) continue;
    assertHeader(name, headers[name]);
    written.push(name.toLowerCase());
  }
  const hrefBefore = before.href ?? urlGiven;
  const isDiscarded = bringsOwn(
    config,
    written.filter((name) => !NO_CREDENTIALS.includes(name)),
  );
  if (isDiscarded) {
    for (const name of Object.keys(headers)) {
      if (name in before.headers) headers[name] = before.headers[name] as string;
      else Reflect.deleteProperty(headers, name);
    }
    if (urlRead && hrefBefore !== undefined) urlRead.href = hrefBefore;
    return;
  }
  for (const name of written) {
    if (attempt.written.includes(name))
      throw new TypeError(`attachAuth: two schemes wrote the header ${name}; a call can carry one of them`);
    attempt.written.push(name);
  }
  attempt.authorized.push(state);
  if (written.length > 0 || urlRead?.href !== hrefBefore) attempt.writers.push(state);
}

/** Whether the call brings a credential of its own for one of these headers. For Authorization, also axios's `auth` and user-info in the URL. */
function bringsOwn(config: Config, names: readonly string[]): boolean {
  return names.some(
    (name) =>
      hasOwnHeader(config.headers, name) ||
      (name === 'authorization' && ((Object.hasOwn(config, 'auth') && Boolean(config.auth)) || hasUserInfo(config))),
  );
}

function hasUserInfo(config: Config): boolean {
  if (!config.url?.includes('@') && !config.baseURL?.includes('@')) return false;
  const { username, password } = resolveUrl(fullUrl(config));
  return username + password !== '';
}
