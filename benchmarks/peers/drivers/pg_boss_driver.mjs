// Drives pg-boss; see driving.py for the commands.
import * as driving from "./driving.mjs";

const { PgBoss } = driving.packaged("pg-boss");
const queue = "nothing";
const chunk = 10_000; // jobs of one insert(): a request is one JSON text

async function started() {
  const boss = new PgBoss({ connectionString: driving.url, schema: driving.schema, useListenNotify: true });
  boss.on("error", (error) => console.error(error));
  await boss.start();
  return boss;
}

await driving.main({
  async install() {
    const boss = await started();
    await boss.createQueue(queue, { notify: true });
    await driving.say({ installed: true });
  },
  async enqueue(words) {
    const boss = await started();
    await driving.oneByOne((number) => boss.send(queue, { number }), words);
  },
  async enqueue_many(words) {
    const boss = await started();
    await driving.many(async (numbers) => {
      for (let from = 0; from < numbers.length; from += chunk)
        await boss.insert(
          queue,
          numbers.slice(from, from + chunk).map((number) => ({ data: { number } })),
        );
    }, words);
  },
  async left() {
    const { Pool } = driving.packaged("pg");
    const pool = new Pool({ connectionString: driving.url });
    const { rows } = await pool.query(
      `SELECT count(*)::int AS left FROM ${driving.schema}.job WHERE name = $1 AND state <> 'completed'`,
      [queue],
    );
    await driving.say(rows[0]);
  },
  async work() {
    await driving.work(async () => {
      const boss = await started();
      await boss.work(queue, driving.options, async (jobs) => {
        for (const job of jobs) driving.ran(job.data.number);
      });
      return () => boss.stop({ graceful: true });
    });
  },
});
