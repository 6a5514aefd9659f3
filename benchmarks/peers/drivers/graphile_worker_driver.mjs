// Drives Graphile Worker; see driving.py for the commands.
import * as driving from "./driving.mjs";

const { Logger, makeWorkerUtils, run } = driving.packaged("graphile-worker");
const { Pool } = driving.packaged("pg");

// Its log has a line for each job, which nobody would leave on.
const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(message);
});
const preset = { worker: { connectionString: driving.url, schema: driving.schema, ...driving.options } };

const utilities = () => makeWorkerUtils({ preset, logger });

await driving.main({
  async install() {
    await (await utilities()).migrate();
    await driving.say({ installed: true });
  },
  async enqueue(words) {
    const { addJob } = await utilities();
    await driving.oneByOne((number) => addJob("nothing", { number }), words);
  },
  async enqueue_many(words) {
    const { addJobs } = await utilities();
    await driving.many(
      (numbers) => addJobs(numbers.map((number) => ({ identifier: "nothing", payload: { number } }))),
      words,
    );
  },
  async left() {
    const pool = new Pool({ connectionString: driving.url });
    const { rows } = await pool.query(`SELECT count(*)::int AS left FROM ${driving.schema}.jobs`);
    await driving.say(rows[0]);
  },
  async work() {
    await driving.work(async () => {
      const runner = await run({
        preset,
        logger,
        noHandleSignals: true,
        taskList: { nothing: ({ number }) => void driving.ran(number) },
      });
      return () => runner.stop();
    });
  },
});
