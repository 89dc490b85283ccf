import { bearer } from 'axios-attach-auth';

/** @param {import('oidc-client-ts').UserManager} manager created with `automaticSilentRenew: false` */
export function sessionOf(manager) {
  return bearer({
    refresh: async ({ reason }) => {
      let user = await manager.getUser();
      if (user && (reason !== 'missing' || user.expired)) user = await manager.signinSilent();
      return user && { accessToken: user.access_token, expiresAt: user.expires_at * 1000 };
    },
  });
}
