import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  setHandler,
} from '@temporalio/workflow';
import {
  EXCHANGE_UPDATE,
  FORGET_SIGNAL,
  STATE_QUERY,
  type CoordinatorReport,
  type Exchange,
  type ExchangeAnswer,
} from '../../api/coordination';
import { isLong } from '../long-history';
import { answerFor, reportOf } from './answer';
import { checkExchange } from './check';
import { forgetting, NOTHING_YET, told, type CoordinatorState } from './state';

const exchange = defineUpdate<ExchangeAnswer, [Exchange]>(EXCHANGE_UPDATE);
const forget = defineSignal<[string?]>(FORGET_SIGNAL);
const report = defineQuery<CoordinatorReport, [number?]>(STATE_QUERY);

/**
 * What the Workspaces of one cluster share: how much may be asked of the cloud, who is creating, and what failed.
 *
 * Guarantees:
 * 1. it answers at once: who has to wait asks again, so updates never pile up;
 * 2. at rest nothing runs: time passes when somebody speaks;
 * 3. the state goes on from run to run, and an exchange that is repeated is applied once.
 */
export async function coordinator(carried?: CoordinatorState): Promise<void> {
  let state = carried ?? NOTHING_YET;

  setHandler(
    exchange,
    (said) => {
      const now = Date.now();
      const next = told(state, said, now);
      if (next === undefined) return { kind: 'unknown' };
      state = next;
      return answerFor(state, said.session, now);
    },
    { validator: checkExchange, description: 'what a worker process says for its Workspaces, and what it may do' },
  );
  setHandler(
    forget,
    (key) => {
      state = forgetting(state, key);
    },
    { description: 'forgets what failed, all or one key of the state: it is tried again' },
  );
  setHandler(report, (nowMs) => reportOf(state, nowMs ?? Date.now()), {
    description: 'tokens, who is creating, who waits, what is avoided until when and why',
  });

  await condition(isLong);
  await condition(allHandlersFinished);
  await continueAsNew<typeof coordinator>(state);
}
