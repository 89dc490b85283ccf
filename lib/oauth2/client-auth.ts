import { assertOption, type ClientAuth } from './options.js';

/** Returns the authentication of a public client: `client_id` in the form (RFC 6749 §3.2.1). */
export function none(): ClientAuth {
  return (_, { client_id: id }, body) => {
    body.set('client_id', id);
  };
}

/**
 * Returns `client_secret_basic`: id and secret in `Authorization: Basic`, each form-encoded first (RFC 6749 §2.3.1).
 * @throws TypeError if the secret is no non-empty string
 */
export function clientSecretBasic(secret: string): ClientAuth {
  assertOption(secret && typeof secret === 'string', 'clientSecretBasic()', 'a string', secret);
  return (_, { client_id: id }, __, headers) => {
    headers.set('Authorization', `Basic ${btoa(`${formEncoded(id)}:${formEncoded(secret)}`)}`);
  };
}

/**
 * Returns `client_secret_post`: id and secret in the form. For servers that do not take them as a header (RFC 6749 §2.3.1).
 * @throws TypeError if the secret is no non-empty string
 */
export function clientSecretPost(secret: string): ClientAuth {
  assertOption(secret && typeof secret === 'string', 'clientSecretPost()', 'a string', secret);
  return (_, { client_id: id }, body) => {
    body.set('client_id', id);
    body.set('client_secret', secret);
  };
}

function formEncoded(text: string): string {
  return String(new URLSearchParams([['', text]])).slice(1);
}
