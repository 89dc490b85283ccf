import { useQuery } from '@tanstack/react-query';
import { useAuthSession } from 'axios-attach-auth/react';
import { Link, Outlet } from 'react-router';
import { userQuery } from './queries.js';
import { session, signOut } from './session.js';

export function Layout() {
  // Not rendered for a refresh: the status stays the same.
  const isSignedIn = useAuthSession(session, ({ status }) => status === 'signed-in');
  return (
    <>
      <header>
        <Link to="/" className="brand">
          Orders
        </Link>
        {isSignedIn && <Account />}
      </header>
      <main>
        <Outlet />
      </main>
    </>
  );
}

function Account() {
  const { data: user } = useQuery(userQuery);
  return (
    <div className="account">
      {user !== undefined && <span>Signed in as {user}</span>}
      <button type="button" onClick={() => void signOut()}>
        Sign out
      </button>
    </div>
  );
}
