import { InvalidArgumentError, type Command } from 'commander';
import type { Workspace } from '../../api/workspace';
import { labelsSelector } from '../../kubernetes/client';
import { findCondition, type Pod } from '../../kubernetes/objects';
import { RESOURCES } from '../../kubernetes/resources';
import { HTTP_PORT, serviceName } from '../../manifests/names';
import { nameArgument, parseCount } from '../arguments';
import { theWorkspace, type ClusterAccess } from '../cluster';
import type { Done } from '../exit-codes';
import { CliError } from '../failure';
import { outputOption, printData, type Format } from '../output';
import type { Session } from '../session';
import { ask, models } from './completions';
import { forward } from './forward';

interface Flags {
  readonly model?: string;
  readonly system?: string;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly port: number;
  readonly output: Format;
}

/** `kaito chat NAME "…"`. */
export function chatCommand(command: Command, session: Session, done: Done): void {
  command
    .command('chat')
    .summary('ask the model')
    .description(
      "Asks the model of a Workspace and prints the answer as it comes. The way is a port-forward to a pod that is ready, so nothing has to be exposed; it needs create on pods/portforward. '-' instead of the question reads it from standard input.",
    )
    .addArgument(nameArgument())
    .argument('<question>', 'what to ask')
    .option('-m, --model <name>', 'name of an adapter (default: the model itself)')
    .option('--system <text>', 'how the model shall answer')
    .option('--max-tokens <count>', 'longest answer, in tokens', parseCount)
    .option('--temperature <number>', '0 always takes the likeliest token', parseTemperature)
    .option('--port <port>', 'port of the model server in its pod', parseCount, HTTP_PORT)
    .addOption(outputOption(['table', 'json', 'yaml']))
    .action(async (name: string, question: string, flags: Flags) => {
      const { io } = session;
      const cluster = session.cluster();
      const workspace = await theWorkspace(cluster, { namespace: session.namespace, name }, io.signal);
      const { namespace } = workspace.metadata;
      if (workspace.inference === undefined) {
        throw new CliError({
          exit: 'usage',
          message: `Workspace '${namespace}/${name}' tunes a model and serves none`,
          remedy: 'Ask an inference Workspace that names it in adapters[].source.workspace.',
        });
      }
      const { state = 'Pending', step } = workspace.status ?? {};
      const pod = await readyPod(cluster, workspace, io.signal);
      if (pod === undefined) {
        throw new CliError({
          exit: 'failed',
          message: `no pod of Workspace '${namespace}/${name}' is ready; its state is ${state}: ${step?.message ?? 'nothing is told'}`,
          remedy: step?.remedy ?? `Follow it with kaito logs ${name} -n ${namespace} -f.`,
        });
      }

      const target = { namespace, pod: pod.metadata.name, port: flags.port };
      const connect = () => forward(cluster.config, target);
      const model = chosenModel(await models(connect, io.signal), flags.model);
      const content = question === '-' ? io.read('-') : question;
      let answer = '';
      const answered = await ask(
        connect,
        {
          model,
          messages: [
            ...(flags.system === undefined ? [] : [{ role: 'system' as const, content: flags.system }]),
            { role: 'user', content },
          ],
          ...(flags.maxTokens !== undefined && { maxTokens: flags.maxTokens }),
          ...(flags.temperature !== undefined && { temperature: flags.temperature }),
        },
        (piece) => {
          answer += piece;
          if (flags.output === 'table') io.out(piece);
        },
        io.signal,
      );
      if (!printData(io, flags.output, () => ({ model, pod: target.pod, answer, ...answered }))) io.out('\n');
      if (answered.finishReason === 'length') io.err('(cut off: --max-tokens allows more)\n');
      done('ok');
    });
}

/** One of those that the Workspace's Service sends requests to: of a model that spans nodes only the first pod answers. */
async function readyPod(
  { client }: ClusterAccess,
  { metadata }: Workspace,
  signal: AbortSignal,
): Promise<Pod | undefined> {
  const { namespace, name } = metadata;
  const service = await client.get(RESOURCES.services, { namespace, name: serviceName(name) }, { signal });
  if (service?.spec.selector === undefined) return undefined;
  const labelSelector = labelsSelector(service.spec.selector);
  const { items } = await client.list(RESOURCES.pods, { namespace, labelSelector }, { signal });
  return items.find(
    (pod) => pod.metadata.deletionTimestamp === undefined && findCondition(pod, 'Ready')?.status === 'True',
  );
}

function chosenModel(served: readonly string[], asked: string | undefined): string {
  const model = asked ?? served[0];
  if (model !== undefined && served.includes(model)) return model;
  throw new CliError({
    exit: 'notFound',
    message:
      asked === undefined ? 'the server serves no model' : `--model ${asked}: the server serves ${served.join(', ')}`,
  });
}

function parseTemperature(value: string): number {
  const number = Number(value);
  if (value.trim() === '' || !(number >= 0 && number <= 2))
    throw new InvalidArgumentError('write a number from 0 to 2.');
  return number;
}
