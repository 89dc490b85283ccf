'use client';

import type { TokenResponse } from 'axios-attach-auth';
import { RequireSession, useAuthSession } from 'axios-attach-auth/react';
import { useState, type ReactNode } from 'react';
import { api, session } from './session';

export function Status() {
  return <p id="status">{useAuthSession(session, ({ status }) => status)}</p>;
}

/** The children may be server components. */
export function Protected({ children }: { children: ReactNode }) {
  return (
    <RequireSession session={session} loading={<p role="status">One moment…</p>} fallback={<SignIn />}>
      {children}
      <Me />
    </RequireSession>
  );
}

function SignIn() {
  const signIn = async () => {
    const { data } = await api.post<TokenResponse>('/auth/login', null, { attachAuth: { credentials: 'omit' } });
    await session.signIn(data);
  };
  return <button onClick={() => void signIn()}>Sign in</button>;
}

function Me() {
  const [user, setUser] = useState<string>();
  const load = async () => setUser((await api.get<{ user: string }>('/api/me')).data.user);
  return (
    <>
      <button onClick={() => void load()}>Who am I?</button> <output>{user}</output>
    </>
  );
}
