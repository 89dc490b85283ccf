import { AuthError } from '../errors.js';
import type { MaybePromise } from '../maybe-promise.js';
import { safeGet } from '../safe-read.js';

/** As @aws-sdk's credential providers return them. */
export interface AwsCredentials {
  /** The access key id. */
  accessKeyId: string;
  /** The secret access key. */
  secretAccessKey: string;
  /** The session token of temporary credentials. */
  sessionToken?: string | undefined;
  /** Without one a function is called at every attempt. */
  expiration?: Date | undefined;
}

/** Returns credentials, as the providers of `@aws-sdk` do. `forceRefresh`: the last ones were refused. */
export type AwsCredentialProvider = (options?: { forceRefresh?: boolean }) => MaybePromise<AwsCredentials>;

export interface CredentialSource {
  /** A provider is asked once for all calls, and again before its credentials expire. */
  current(now: number): Promise<AwsCredentials>;
  /** Others than those that were refused, if there are any. A provider is forced to refresh, once for all calls. */
  renewed(refused: AwsCredentials, now: number): Promise<AwsCredentials | undefined>;
}

/** How long before they expire credentials are renewed at most, as @aws-sdk does it; else a tenth of their lifetime. */
const MOST_AHEAD_MS = 5 * 60_000;

export function credentialSource(given: AwsCredentials | AwsCredentialProvider): CredentialSource {
  let known: AwsCredentials | undefined;
  let expiresAt = NaN;
  let renewAt = NaN;
  const pending = new Map<boolean, Promise<AwsCredentials>>();

  const ask = async (now: number, isForced: boolean): Promise<AwsCredentials> => {
    try {
      const found = typeof given === 'object' ? given : await (isForced ? given({ forceRefresh: true }) : given());
      known = checked(found);
      expiresAt = Number(new Date(found.expiration ?? NaN));
      renewAt = expiresAt - Math.min(MOST_AHEAD_MS, (expiresAt - now) / 10);
    } catch (error) {
      // A renewal ahead of time may fail.
      if (isForced || !known || !(now < expiresAt)) throw error;
    }
    return known;
  };
  /** Calls that ask at the same time share the result, that of a forced refresh first. */
  const askOnce = (now: number, isForced: boolean): Promise<AwsCredentials> => {
    let asked = pending.get(true) ?? pending.get(isForced);
    if (!asked) {
      asked = ask(now, isForced).finally(() => pending.delete(isForced));
      pending.set(isForced, asked);
    }
    return asked;
  };

  return {
    current: async (now) => (known && now < renewAt && !pending.has(true) ? known : askOnce(now, false)),
    renewed: async (refused, now) => {
      const latest = known && !isSame(known, refused) ? known : await askOnce(now, true);
      return isSame(latest, refused) ? undefined : latest;
    },
  };
}

const FIELDS = ['accessKeyId', 'secretAccessKey', 'sessionToken'] as const;

function isSame(one: AwsCredentials, other: AwsCredentials): boolean {
  return FIELDS.every((field) => one[field] === other[field]);
}

/** Whether they look like credentials; what they hold is checked when it is used. */
export function hasShape(given: unknown): boolean {
  return typeof safeGet(given, 'accessKeyId') === 'string' && typeof safeGet(given, 'secretAccessKey') === 'string';
}

/** A copy. @throws AuthError for what no credentials are; a blank at an end would only be refused by the server. */
function checked(given: unknown): AwsCredentials {
  const [accessKeyId, secretAccessKey, token] = FIELDS.map((field) => safeGet(given, field));
  const sessionToken = token ?? undefined;
  if (isText(accessKeyId) && isText(secretAccessKey) && (sessionToken === undefined || isText(sessionToken)))
    return { accessKeyId, secretAccessKey, sessionToken };
  throw new AuthError(
    'ERR_AUTH_INVALID_CREDENTIAL',
    'sigV4(): expected { accessKeyId, secretAccessKey, sessionToken? }, strings of visible ASCII. Look for a line break at the end of a secret.',
  );
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && /^[!-~]+$/.test(value);
}
