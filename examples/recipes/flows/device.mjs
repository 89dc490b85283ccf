import * as openid from 'openid-client';

/**
 * Device flow (RFC 8628) for a command-line tool.
 *
 * @param {import('axios-attach-auth').BearerScheme} session
 * @param {openid.Configuration} config of openid.discovery()
 * @param {(code: openid.DeviceAuthorizationResponse) => void} show tells the user where to enter which code
 */
export async function signIn(session, config, show) {
  const device = await openid.initiateDeviceAuthorization(config, { scope: 'openid offline_access' });
  show(device);
  await session.signIn(await openid.pollDeviceAuthorizationGrant(config, device));
}
