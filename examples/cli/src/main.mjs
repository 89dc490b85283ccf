#!/usr/bin/env node
import { isAuthError } from 'axios-attach-auth';
import { login } from './login.mjs';
import { api, session } from './session.mjs';

const commands = {
  async login() {
    await login(session);
    console.log('Signed in.');
  },
  async whoami() {
    const { data } = await api.get('/me');
    console.log(data.sub);
  },
  async logout() {
    await session.signOut();
    console.log('Signed out.');
  },
};

const command = commands[process.argv[2]];
try {
  if (!command) throw new Error(`Usage: orders ${Object.keys(commands).join(' | ')}`);
  await command();
} catch (error) {
  const isSignedOut =
    error.response?.status === 401 || (isAuthError(error) && error.code === 'ERR_AUTH_SESSION_EXPIRED');
  console.error(isSignedOut ? 'You are not signed in: run `orders login`.' : error.message);
  process.exitCode = 1;
}
