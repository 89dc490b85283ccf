import { RequireSession } from 'axios-attach-auth/react';
import { Navigate, Outlet, useLocation } from 'react-router';
import { session } from './session.js';

/** The routes below this one need a session. The sign-in page returns to the address that was asked for. */
export function Protected() {
  const from = useLocation();
  return (
    <RequireSession
      session={session}
      loading={<p role="status">One moment…</p>}
      fallback={(status) => <Navigate to="/sign-in" replace state={{ from, status }} />}
    >
      <Outlet />
    </RequireSession>
  );
}
