import { bearer } from 'axios-attach-auth';

/** @param {import('firebase/auth').Auth} auth */
export function sessionOf(auth) {
  return bearer({
    refresh: async ({ reason }) => {
      await auth.authStateReady();
      const result = await auth.currentUser?.getIdTokenResult(reason !== 'missing').catch((error) => {
        // A refused token signs the user out.
        if (auth.currentUser) throw error;
      });
      return result ? { accessToken: result.token, expiresAt: Date.parse(result.expirationTime) } : null;
    },
  });
}
