import { homedir } from 'node:os';
import { join } from 'node:path';
import axios from 'axios';
import { attachAuth, bearer } from 'axios-attach-auth';
import { fileStore } from 'axios-attach-auth/node';
import { refreshTokenGrant, revocation } from 'axios-attach-auth/oauth2';
import { aesGcm } from 'axios-attach-auth/store';
import { sealingKey } from './key.mjs';

const SERVICE = 'orders-cli';
const {
  ISSUER = 'https://login.example.com',
  API_URL = 'https://api.example.com',
  CONFIG = join(homedir(), '.config', SERVICE),
  KEYCHAIN = 'on',
} = process.env;

export const issuer = ISSUER;
export const clientId = SERVICE;

/** One session for all processes of this user, in a file that only the key opens. */
export const session = bearer({
  store: fileStore(join(CONFIG, 'session.json'), { seal: aesGcm(key) }),
  refresh: refreshTokenGrant({ issuer, clientId }),
  revoke: revocation({ issuer, clientId }),
});

export const api = axios.create({ baseURL: API_URL });
attachAuth(api, { scheme: session });

function key() {
  return sealingKey({ service: SERVICE, keyFile: join(CONFIG, 'key'), hasKeychain: KEYCHAIN === 'on' });
}
