import { readRecords } from '../../activities/history/records';
import type { LifeRecord } from '../../api/history';
import { workflowIdOf, type WorkspaceRef } from '../../api/workflow';
import { CliError, toldOf } from '../failure';
import type { Session } from '../session';
import { livesOf, type Life } from './entry';
import { readHistory } from './runs';

/**
 * What Temporal still knows of a name, together with the records that the cluster keeps of lives that ended. Either is enough: what can't be asked is
 * noted; it fails when neither knows anything.
 */
export async function readLives(session: Session, ref: WorkspaceRef): Promise<readonly Life[]> {
  const { io } = session;
  const silent: CliError[] = [];
  const asked = async <T>(what: string, read: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      io.signal.throwIfAborted();
      silent.push(new CliError(toldOf(error), { cause: error }));
      io.err(`note: ${what}: ${toldOf(error).message}\n`);
      return otherwise;
    }
  };
  const records = await asked(
    'records of the cluster are left out',
    async () => (await readRecords(session.cluster().client, ref, io.signal)).records,
    [],
  );
  const entries = await asked(
    'what Temporal knows is left out',
    async () => readHistory((await session.temporal()).client, ref),
    [],
  );
  const lives = withRecords(livesOf(entries), records);
  if (lives.length > 0) return lives;
  // Temporal was asked last, and is where history is.
  const trouble = silent.at(-1);
  if (trouble !== undefined) throw trouble;
  throw new CliError({
    exit: 'notFound',
    message: `neither workflow '${workflowIdOf(ref)}' in Temporal nor a record of it in namespace '${ref.namespace}'`,
    remedy: 'Check the name, its namespace (-n), --address and --temporal-namespace.',
  });
}

/** Each life with its record, if it has one; those that only the records know of come first, since Temporal forgets the oldest. */
export function withRecords(lives: readonly Life[], records: readonly LifeRecord[]): readonly Life[] {
  const isTold = ({ uid }: LifeRecord): boolean => lives.some((life) => life.uid === uid);
  return [
    ...records.filter((record) => !isTold(record)).map((record) => ({ uid: record.uid, entries: [], record })),
    ...lives.map((life) => {
      const record = records.find(({ uid }) => uid === life.uid);
      return record === undefined ? life : { ...life, record };
    }),
  ];
}
