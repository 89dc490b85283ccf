import { createServer, Socket, type AddressInfo, type Server } from 'node:net';
import type { Ports } from './addresses.js';

/** The received bytes. */
export interface Arrival {
  readonly port: number;
  readonly text: string;
}

export interface Loopback {
  readonly ports: Ports;
  /** Returns the bytes received since the last call. */
  taken(): Arrival[];
  close(): Promise<void>;
}

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';

/** An own and a foreign server, each on 127.0.0.1 and ::1. While they are open, no connection leaves the machine. */
export async function openLoopback(): Promise<Loopback> {
  const restore = blockOtherHosts();
  const arrivals: Arrival[] = [];
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  const listen = (port: number, host: string): Promise<number> => {
    const server = createServer((socket) => {
      let text = '';
      sockets.add(socket.setNoDelay());
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
      socket.setEncoding('latin1').on('data', (chunk) => {
        text += String(chunk);
        if (!text.includes('\r\n\r\n')) return;
        arrivals.push({ port: socket.localPort ?? 0, text });
        text = '';
        socket.write(ANSWER);
      });
    });
    servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        resolve((server.address() as AddressInfo).port);
      });
    });
  };
  const everywhere = async (): Promise<number> => {
    const port = await listen(0, '127.0.0.1');
    // Without IPv6 there is no server at ::1.
    await listen(port, '::1').catch(() => undefined);
    return port;
  };
  return {
    ports: { own: await everywhere(), foreign: await everywhere() },
    taken: () => arrivals.splice(0),
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
      restore();
    },
  };
}

/** No byte of a test leaves the machine, whatever the address. */
function blockOtherHosts(): () => void {
  const { prototype } = Socket;
  const connect = Object.getOwnPropertyDescriptor(prototype, 'connect') as PropertyDescriptor;
  const original = connect.value as (this: Socket, ...args: unknown[]) => Socket;
  Object.defineProperty(prototype, 'connect', {
    ...connect,
    value: function (this: Socket, ...args: unknown[]): Socket {
      const { host } = ([args].flat(2)[0] ?? {}) as { host?: unknown };
      if (host === 'localhost' || host === '127.0.0.1' || host === '::1') return original.apply(this, args);
      // Its owner adds an error listener only after this has returned.
      setImmediate(() => this.destroy(new Error(`${String(host)} is not loopback`)));
      return this;
    },
  });
  return () => Object.defineProperty(prototype, 'connect', connect);
}
