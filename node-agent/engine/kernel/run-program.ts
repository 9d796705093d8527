import { spawn } from 'node:child_process';

const OUTPUT_BYTES_MAX = 64 * 1024;
const TIMEOUT_MS = 30_000;

/**
 * Runs a program of the host with an argument array, `input` on its stdin, and answers its stdout.
 * @throws Error with the program's own words when it fails
 */
export function runProgram(file: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...args], { timeout: TIMEOUT_MS, stdio: ['pipe', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (stdout.length < OUTPUT_BYTES_MAX) stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (stderr.length < OUTPUT_BYTES_MAX) stderr += text;
    });
    child.on('error', (cause) =>
      reject(new Error(`cannot run ${file}: ${cause.message}`, { cause })),
    );
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(stdout);
      const words = stderr.trim().slice(0, 500);
      reject(new Error(`${file} ${args.join(' ')} failed (${code ?? signal}): ${words}`));
    });
    // A program that ended early says why by its status
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}
