// What the drivers for Node.js share; the commands are those of driving.py.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

export const url = process.env.PEER_URL;
export const schema = process.env.PEER_SCHEMA;
export const options = JSON.parse(process.env.PEER_OPTIONS);

// The packages are in the peer's environment, not beside this file.
export const packaged = createRequire(process.env.PEER_ENVIRONMENT + "/");

const tellEvery = 20; // milliseconds: a worker that ran jobs says so

const runs = []; // what this process ran, and when

// The same clock as Python's time.monotonic().
export const monotonic = () => Number(process.hrtime.bigint()) / 1e9;

// The whole of a job.
export const ran = (number) => runs.push([number, monotonic()]);

export const say = (words) =>
  new Promise((resolve) => process.stdout.write(JSON.stringify(words) + "\n", resolve));

const words = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
export const heard = () => words.next();

export async function oneByOne(enqueue, [first, jobs, pause]) {
  const committed = [];
  const began = monotonic();
  for (let number = first; number < first + jobs; number++) {
    await enqueue(number);
    committed.push([number, monotonic()]);
    // Not in step with any timer of the worker.
    if (pause) await sleep(pause * 1000 + 0.1 * (number % 100));
  }
  await say({ seconds: monotonic() - began, committed });
}

export async function many(enqueue, [first, jobs]) {
  const numbers = Array.from({ length: jobs }, (_, index) => first + index);
  const began = monotonic();
  await enqueue(numbers);
  await say({ seconds: monotonic() - began });
}

// `start()` starts the worker and resolves to what stops it in its orderly way.
export async function work(start) {
  await say({ ready: true });
  await heard();
  const stop = await start();
  let told = 0;
  const telling = setInterval(() => {
    if (runs.length !== told) say({ ran: (told = runs.length) });
  }, tellEvery);
  await heard();
  clearInterval(telling);
  await stop();
  await say({ runs });
}

export async function main(commands) {
  const [command, ...words] = process.argv.slice(2);
  await commands[command](words.map(Number));
  process.exit(0); // the line reader and the pools would hold the process
}
