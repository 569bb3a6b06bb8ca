import { type Command } from 'commander';
import { RESOURCES } from '../../kubernetes/resources';
import { readManifest } from '../../presets/manifest';
import { modelOf } from '../../presets/plan-command';
import { planOf } from '../../presets/plan';
import { nameArgument } from '../arguments';
import type { Done } from '../exit-codes';
import { outputOption, printData, type Format } from '../output';
import type { Session } from '../session';
import { ownNodesCandidate } from './own-nodes';
import { planPage, type WorkspacePlan } from './page';
import { AZURE_PRICE_LIST, priceList } from './prices';
import { sourceOfFile, sourceOfName, type Source } from './source';

const REGION_LABEL = 'topology.kubernetes.io/region';

interface Flags {
  readonly filename?: string;
  readonly size: readonly string[];
  readonly region?: string;
  readonly priceList: string;
  readonly dryRun: boolean;
  readonly output: Format;
}

/** `kaito plan -f FILE | NAME`. */
export function planCommand(command: Command, session: Session, done: Done): void {
  const plan = command
    .command('plan')
    .summary('what a Workspace would get, before anything is bought')
    .description(
      'Says what a manifest, or a Workspace of the cluster, would get: sizes in the order in which they are tried, nodes, how the model is laid out, the price where it is known. Nothing is written. With a cluster at hand its API server is asked whether it accepts the manifest (a dry run), and own nodes are judged; without one the rest still works.',
    )
    .addArgument(nameArgument('[name]'))
    .option(
      '-f, --filename <file>',
      'YAML with one Workspace and, optionally, the ConfigMap of its configuration; - is standard input',
    )
    .option('--size <instanceType>', "size to judge instead of the manifest's; may be repeated", collect, [])
    .option('--region <name>', "Azure region whose prices to show (default: that of the cluster's nodes)")
    .option('--price-list <url>', 'address of the price list', AZURE_PRICE_LIST)
    .option('--no-dry-run', 'do not ask the API server')
    .addOption(outputOption(['table', 'json', 'yaml']))
    .action(async (name: string | undefined, flags: Flags) => {
      const { io } = session;
      if ((name === undefined) === (flags.filename === undefined)) {
        plan.error('error: give either a name or -f FILE');
      }
      const source =
        name === undefined
          ? await sourceOfFile(session, io.read(flags.filename ?? '-'), flags.dryRun)
          : await sourceOfName(session.cluster(), { namespace: session.namespace, name }, io.signal);
      const result = await planned(session, source, flags);
      if (!printData(io, flags.output, () => result)) io.out(planPage(result));
      if (result.admission.kind === 'refused') return done('usage');
      done(result.first === undefined ? 'failed' : 'ok');
    });
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

async function planned(session: Session, { text, workspace, admission }: Source, flags: Flags): Promise<WorkspacePlan> {
  const { signal } = session.io;
  const manifest = readManifest(text);
  const purpose = manifest.tuning === undefined ? 'inference' : 'tuning';
  const model = await modelOf(manifest.preset, purpose);
  const sizes = flags.size.length > 0 ? flags.size : manifest.instanceTypes;
  const all = planOf(model, manifest, sizes);
  const sort =
    sizes.length > 0 || manifest.partition !== undefined ? 'named' : workspace === undefined ? 'all' : 'own nodes';
  const candidates =
    sort === 'own nodes' && workspace !== undefined
      ? [await ownNodesCandidate(session.cluster(), workspace, model, manifest, signal)]
      : sort === 'named'
        ? await withPrices(session, all.candidates, flags)
        : all.candidates;
  const first = candidates.find(({ fits }) => fits);
  const inUse = workspace?.status?.instanceType;
  return {
    model: all.model,
    purpose,
    sort,
    candidates,
    admission,
    notes: manifest.notes,
    ...(first !== undefined && { first }),
    ...(inUse !== undefined && inUse !== '' && { inUse }),
  };
}

type Candidates = WorkspacePlan['candidates'];

async function withPrices(session: Session, candidates: Candidates, flags: Flags): Promise<Candidates> {
  const region = flags.region ?? (await regionOfNodes(session));
  if (region === undefined) return candidates;
  const { io } = session;
  const list = priceList({ region, address: flags.priceList }, io.now, (text) => io.err(`note: ${text}\n`), io.signal);
  const priced = [];
  for (const candidate of candidates) {
    const price = candidate.fits ? await list.price(candidate.instanceType) : undefined;
    priced.push(
      price === undefined || candidate.nodeCount === null
        ? candidate
        : { ...candidate, pricePerHour: price * candidate.nodeCount },
    );
  }
  return priced;
}

/** Where the cluster is, if there is one and its nodes say so. */
async function regionOfNodes(session: Session): Promise<string | undefined> {
  try {
    const { items } = await session
      .cluster()
      .client.list(RESOURCES.nodes, {}, { signal: session.io.signal, timeoutMs: 5_000 });
    return items.map(({ metadata }) => metadata.labels?.[REGION_LABEL]).find((label) => label !== undefined);
  } catch {
    // No cluster, or no right to see its nodes: then prices are asked for with --region.
    session.io.signal.throwIfAborted();
    return undefined;
  }
}
