import { createHash } from 'node:crypto';
import { bearer } from 'axios-attach-auth';
import { clientSecretBasic, refreshTokenGrant, revocation } from 'axios-attach-auth/oauth2';
import { redisStore } from 'axios-attach-auth/redis';

/** The most sessions in memory. A dropped session is read from Redis again. */
const KEPT = 10_000;

/** One session per user in Redis, whatever machine serves the user. */
export class Sessions {
  #redis;
  #grants;
  /** In the order of their last use. */
  #sessions = new Map();

  constructor({ redis, issuer, clientId, clientSecret }) {
    const options = { issuer, clientId, clientAuth: clientSecretBasic(clientSecret) };
    this.#redis = redis;
    // Created once: all users share the metadata of the issuer.
    this.#grants = { refresh: refreshTokenGrant(options), revoke: revocation(options) };
  }

  /** The same object for the same id. The ids are stored hashed, so that a reader of Redis does not get them. */
  of(id) {
    const key = `session:${createHash('sha256').update(id).digest('base64url')}`;
    const session = this.#sessions.get(key) ?? bearer({ store: redisStore(this.#redis, key), ...this.#grants });
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    if (this.#sessions.size > KEPT) this.#sessions.delete(this.#sessions.keys().next().value);
    return session;
  }
}
