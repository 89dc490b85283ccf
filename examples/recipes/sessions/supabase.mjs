import { isAuthRetryableFetchError } from '@supabase/auth-js';
import { bearer } from 'axios-attach-auth';

/** @param {import('@supabase/auth-js').GoTrueClient} auth `supabase.auth`, created with `autoRefreshToken: false` */
export function sessionOf(auth) {
  return bearer({
    refresh: async ({ reason }) => {
      const { data, error } = reason === 'missing' ? await auth.getSession() : await auth.refreshSession();
      if (isAuthRetryableFetchError(error)) throw error;
      return data.session && { accessToken: data.session.access_token, expiresAt: data.session.expires_at * 1000 };
    },
  });
}
