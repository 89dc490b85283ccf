import { spawn, spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const MODULES = process.env['APACHE_MODULES'] ?? '/usr/lib/apache2/modules';
const LOADED = ['mpm_event', 'authn_core', 'authn_file', 'authz_core', 'authz_user', 'auth_digest', 'alias'];

/** A real Apache with mod_auth_digest, on loopback. */
export interface Apache {
  readonly origin: string;
  close(): Promise<void>;
}

export function isApacheInstalled(): boolean {
  return spawnSync('apache2', ['-v']).status === 0;
}

/** `apache2` of Debian. `locations`: directives for each path. All require a Digest of a user of `users`. */
export async function startApache(
  users: readonly { username: string; realm: string; ha1: string }[],
  locations: Readonly<Record<string, string>>,
): Promise<Apache> {
  const folder = await mkdtemp(join(tmpdir(), 'apache-'));
  await chmod(folder, 0o755);
  const root = join(folder, 'root');
  await mkdir(root);
  await writeFile(join(root, 'page.txt'), 'a page');
  await writeFile(
    join(folder, 'users'),
    users.map(({ username, realm, ha1 }) => `${username}:${realm}:${ha1}\n`).join(''),
  );
  const port = await freePort();
  const config = [
    `ServerRoot "${folder}"`,
    `PidFile "${join(folder, 'pid')}"`,
    `Mutex file:${folder}`,
    `Listen 127.0.0.1:${String(port)}`,
    'ServerName 127.0.0.1',
    // A kept connection that it closes while a call is sent would fail the call. It also closes them if all threads are busy.
    'KeepAliveTimeout 60',
    'MaxKeepAliveRequests 0',
    'StartServers 1',
    'ThreadsPerChild 64',
    'MinSpareThreads 1',
    'MaxSpareThreads 64',
    'MaxRequestWorkers 64',
    ...LOADED.map((name) => `LoadModule ${name}_module "${join(MODULES, `mod_${name}.so`)}"`),
    // It refuses to serve as root.
    ...(process.getuid?.() === 0 ? ['User www-data', 'Group www-data'] : []),
    `ErrorLog "${join(folder, 'errors')}"`,
    `DocumentRoot "${root}"`,
    ...Object.entries(locations).map(
      ([path, directives]) => `Alias "${path}" "${root}/"
        <Location "${path}">
          AuthType Digest
          AuthDigestProvider file
          AuthUserFile "${join(folder, 'users')}"
          Require valid-user
          ${directives}
        </Location>`,
    ),
  ];
  await writeFile(join(folder, 'httpd.conf'), `${config.join('\n')}\n`);

  const child = spawn('apache2', ['-f', join(folder, 'httpd.conf'), '-D', 'FOREGROUND'], { stdio: 'ignore' });
  const stop = (): void => {
    child.kill('SIGTERM');
  };
  process.once('exit', stop);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const origin = `http://127.0.0.1:${String(port)}`;
  for (let attempt = 0; attempt < 100; attempt++) {
    if (child.exitCode !== null) throw new Error('apache2 did not start: see its error log');
    if (
      await fetch(origin).then(
        () => true,
        () => false,
      )
    )
      break;
    await sleep(50);
  }
  return {
    origin,
    close: async () => {
      process.off('exit', stop);
      stop();
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
