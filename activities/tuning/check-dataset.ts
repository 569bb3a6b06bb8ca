/**
 * The first look at the data, before anything is bought: what the addresses of the dataset answer. Data of images and volumes is seen first by the
 * Job's own pod.
 */
import type { DatasetOutcome, Plan, StepInput } from '../../api/workflow';
import { currentWorkspace } from '../current-workspace';
import type { Dependencies } from '../dependencies';
import { defineStep } from '../step';
import { checkDatasetUrls } from './dataset-urls';

type Input = StepInput & { readonly plan: Plan };

export function createCheckDataset(deps: Dependencies): (input: Input) => Promise<DatasetOutcome> {
  return defineStep<Input, DatasetOutcome>(
    deps,
    { name: 'Data', life: ({ plan }) => plan },
    async ({ ref, plan }, context) => {
      const workspace = await currentWorkspace(deps, ref, plan, context.signal);
      const { urls = [] } = workspace.tuning?.input ?? {};
      context.progress(`asking ${urls.length} addresses for the data`);
      const files = await checkDatasetUrls(urls, {
        signal: context.signal,
        allowPrivateHosts: deps.workload.datasetPrivateHosts ?? [],
      });
      return { kind: 'checked', status: await context.tell(workspace, { plan, message: summaryOf(files) }) };
    },
    { kind: 'superseded' },
  );
}

const MIB = 2 ** 20;

function summaryOf(files: readonly { readonly bytes?: number }[]): string {
  if (files.length === 0) return 'the data comes from an image or a volume';
  const known = files.filter(({ bytes }) => bytes !== undefined);
  const mib = known.reduce((sum, { bytes = 0 }) => sum + bytes, 0) / MIB;
  const size = known.length === files.length ? `, ${mib.toFixed(1)} MiB` : '';
  return `the data can be had: ${files.length} ${files.length === 1 ? 'file' : 'files'}${size}`;
}
