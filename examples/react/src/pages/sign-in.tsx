import { isAxiosError } from 'axios';
import { useAuthSession } from 'axios-attach-auth/react';
import { useActionState } from 'react';
import { Navigate, useLocation, type Location } from 'react-router';
import { session, signIn } from '../session.js';

interface Arrival {
  readonly from?: Location;
  readonly status?: 'signed-out' | 'expired';
}

export function SignInPage() {
  const { from, status } = (useLocation().state ?? {}) as Arrival;
  const isSignedIn = useAuthSession(session, (snapshot) => snapshot.status === 'signed-in');
  const [error, submit, isPending] = useActionState(async (_: string | null, form: FormData) => {
    try {
      await signIn(String(form.get('user')), String(form.get('password')));
      return null;
    } catch (failure) {
      return isAxiosError(failure) && failure.response?.status === 401
        ? 'The user name or the password is wrong.'
        : 'The server cannot be reached. Try again in a moment.';
    }
  }, null);

  // A sign-in in another tab counts as well.
  if (isSignedIn) return <Navigate to={from ?? '/'} replace />;
  return (
    <section className="card narrow">
      <title>Sign in</title>
      <h1>Sign in</h1>
      {status === 'expired' && <p role="status">Your session has expired. Sign in again to go on where you were.</p>}
      <form action={submit}>
        <label>
          User name
          <input name="user" autoComplete="username" required defaultValue="ada" />
        </label>
        <label>
          Password
          <input name="password" type="password" autoComplete="current-password" required />
        </label>
        {error !== null && <p role="alert">{error}</p>}
        <button className="primary" disabled={isPending}>
          Sign in
        </button>
      </form>
      <p className="hint">
        This is a demo: the user is <code>ada</code>, the password <code>lovelace</code>.
      </p>
    </section>
  );
}
