import type { Plan } from '../../presets/plan';
import { pairs, table } from '../table';
import type { Admission } from './source';

type Candidate = Plan['candidates'][number] & {
  /** USD, of all its nodes. */
  readonly pricePerHour?: number;
};

/** What a Workspace would get, as scripts read it. */
export interface WorkspacePlan {
  readonly model: Plan['model'];
  readonly purpose: 'inference' | 'tuning';
  /** `named`: the sizes of the manifest; `all`: of a manifest for own nodes, when no cluster tells of them. */
  readonly sort: 'named' | 'own nodes' | 'all';
  readonly candidates: readonly Candidate[];
  /** The first one that fits; it may be unavailable, then the next one is tried. */
  readonly first?: Candidate;
  readonly admission: Admission;
  /** Of a Workspace of the cluster: the size in use. */
  readonly inUse?: string;
  readonly notes: readonly string[];
}

interface Column {
  readonly header: string;
  readonly cell: (candidate: Candidate) => string | number | null | undefined;
}

const SIZE: readonly Column[] = [
  { header: 'SIZE', cell: ({ instanceType }) => instanceType },
  { header: 'FITS', cell: ({ fits }) => (fits ? 'yes' : 'no') },
  { header: 'NODES', cell: ({ nodeCount }) => nodeCount },
  { header: 'GPUS/NODE', cell: ({ gpusPerNode }) => gpusPerNode },
];
const LAYOUT: readonly Column[] = [
  { header: 'TENSOR', cell: ({ tensorParallel }) => tensorParallel },
  { header: 'DATA', cell: ({ dataParallel }) => dataParallel },
  { header: 'PIPELINE', cell: ({ pipelineParallel }) => pipelineParallel },
  { header: 'MAX-MODEL-LEN', cell: ({ maxModelLen }) => maxModelLen },
];
const TUNING: readonly Column[] = [{ header: 'GIB/GPU', cell: ({ neededGpuMemoryGiB }) => neededGpuMemoryGiB }];
const END: readonly Column[] = [
  { header: 'COST/H', cell: ({ pricePerHour }) => (pricePerHour === undefined ? undefined : dollars(pricePerHour)) },
  { header: 'NOTE', cell: ({ reason }) => reason || ' ' },
];

export function planPage(plan: WorkspacePlan): string {
  const { model, purpose, candidates, notes } = plan;
  const columns = [...SIZE, ...(purpose === 'inference' ? LAYOUT : TUNING), ...END];
  return [
    pairs([
      ['Model', `${model.id}: weights ${model.weightsGiB} GiB, disk ${model.diskGiB} GiB`],
      ['Would get', outcome(plan)],
      ['Admission', admission(plan.admission)],
      ['In use', plan.inUse],
      ...notes.map((note) => ['Note', note] as const),
    ]),
    table(
      columns.map(({ header }) => header),
      candidates.map((candidate) => columns.map(({ cell }) => String(cell(candidate) ?? '-'))),
    ),
  ].join('\n');
}

function outcome({ first, candidates, sort }: WorkspacePlan): string {
  if (sort === 'all') return 'own nodes, which no cluster tells of; the table says which sizes would hold the model';
  if (first === undefined) return 'nothing: none of these fits';
  const { instanceType, nodeCount, pricePerHour } = first;
  if (sort === 'own nodes')
    return `${nodeCount ?? 1} of your own nodes, each with ${first.gpusPerNode} GPUs; nothing is bought`;
  const cost = pricePerHour === undefined ? '' : `, ${dollars(pricePerHour)} an hour`;
  const others = candidates.filter(({ fits }) => fits).length - 1;
  const then = others === 0 ? '' : `; if it cannot be had, the next of ${others} more`;
  return `${nodeCount ?? 1} × ${instanceType}${cost}${then}`;
}

function admission(said: Admission): string {
  switch (said.kind) {
    case 'accepted':
      return 'the API server accepts it';
    case 'in the cluster':
      return 'it is in the cluster';
    case 'refused':
      return `the API server refuses it: ${said.message}`;
    case 'not asked':
      return `not asked: ${said.why}`;
  }
}

function dollars(amount: number): string {
  return `$${amount.toFixed(2)}`;
}
