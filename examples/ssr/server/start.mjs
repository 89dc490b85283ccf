// `npm start`: the app, with an auth server and an API on this machine.
import { createApp } from '../src/app.mjs';
import { createServers } from './auth.mjs';
import { listen } from './listen.mjs';

const { auth, api } = createServers();
const [authServer, apiServer] = [await listen(auth, 3001), await listen(api)];
const app = await listen(createApp({ authUrl: authServer.origin, apiUrl: apiServer.origin }), 3000);
console.log(`Sign in at ${authServer.origin}/login, then open ${app.origin}/account. Stop with Ctrl+C.`);
