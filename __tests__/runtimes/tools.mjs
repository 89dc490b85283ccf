import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';

/** A runtime that is not installed. */
export class NotInstalled extends Error {}

export function needs(path, what) {
  if (!existsSync(path)) throw new NotInstalled(`${what} is not installed`);
  return path;
}

/** Runs a program to its end. @returns what it wrote to stdout. */
export function execute(file, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      { timeout: 180_000, maxBuffer: 64 * 1024 * 1024, ...options },
      (error, stdout, stderr) => {
        if (error) reject(Object.assign(error, { output: `${stdout}\n${stderr}` }));
        else resolve(stdout);
      },
    );
    child.stdin?.end();
  });
}

/** The results of conformance(), from the last line of a program. */
export const resultsIn = (stdout) => JSON.parse(stdout.trim().split('\n').at(-1));

/** An error as a few lines. */
export const lines = (error) =>
  [error?.stack ?? String(error), error?.output].filter(Boolean).join('\n').split('\n').slice(0, 20).join('\n');
