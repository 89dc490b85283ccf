/* global document, location */
// The page of page.test.mjs.
import axios from 'axios';
import { attachAuth, bearer } from 'axios-attach-auth';
import { refreshTokenGrant } from 'axios-attach-auth/oauth2';
import * as oauth from 'oauth4webapi';
import { finishSignIn, startSignIn } from './page.mjs';

const { issuer } = document.body.dataset;
const client = { client_id: 'app' };
const redirectUri = `${location.origin}/callback`;
// The server of the test has no TLS.
const options = { [oauth.allowInsecureRequests]: true };
const as = await oauth.processDiscoveryResponse(
  new URL(issuer),
  await oauth.discoveryRequest(new URL(issuer), options),
);

const session = bearer({ refresh: refreshTokenGrant({ issuer, clientId: client.client_id }) });
const api = axios.create({ baseURL: '/api' });
attachAuth(api, { scheme: session });

const show = () => (document.querySelector('#status').textContent = session.getSnapshot().status);
session.subscribe(show);
if (location.pathname === '/callback') await finishSignIn(session, as, client, redirectUri, options);
show();

document.querySelector('#sign-in').onclick = () => startSignIn(as, client, redirectUri);
document.querySelector('#load').onclick = async () => {
  const answers = await Promise.all(Array.from({ length: 10 }, () => api.get('/me')));
  document.querySelector('#names').textContent = answers.map(({ data }) => data.sub).join();
};
