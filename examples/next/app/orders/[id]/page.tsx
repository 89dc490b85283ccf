import { RequireSession } from 'axios-attach-auth/react';
import { Protected, Status } from '../../account';

/** Since the files of `/react` say 'use client', a server component that imports from there gets a reference. */
const { $$typeof: kind } = RequireSession as { $$typeof?: symbol };

export default async function Order({ params }: { params: Promise<{ id: string }> }) {
  const { id } = await params;
  return (
    <main data-kind={String(kind)}>
      <Status />
      <Protected>
        <h1>Order {id}</h1>
      </Protected>
    </main>
  );
}
