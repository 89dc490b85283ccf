import * as openid from 'openid-client';
import { clientId, issuer } from './session.mjs';

/** The device flow (RFC 8628): the user enters a code on any device that has a browser. */
export async function login(session) {
  const isLocal = new URL(issuer).protocol === 'http:';
  const config = await openid.discovery(new URL(issuer), clientId, undefined, openid.None(), {
    execute: isLocal ? [openid.allowInsecureRequests] : [],
  });
  const device = await openid.initiateDeviceAuthorization(config, { scope: 'openid offline_access' });
  console.log(`Open ${device.verification_uri} and enter ${device.user_code}`);
  await session.signIn(await openid.pollDeviceAuthorizationGrant(config, device));
}
