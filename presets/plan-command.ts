/**
 * `npm run plan -- FILE.yaml`: what a Workspace would get, told without a cluster.
 *
 * Exit codes: 0 something fits, 1 nothing fits, 2 the input can't be planned.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
// eslint-disable-next-line import-x/no-restricted-paths -- a command is a process of its own; as a worker, it may use the hub
import { describeModel } from '../activities/huggingface/hub';
import { CauseError, remedyOf } from '../api/causes';
import { findPreset, presetNames, retiredPreset } from './catalogue';
import { DataFileError } from './data-file';
import { readManifest } from './manifest';
import { planOf, type Plan } from './plan';
import type { TuningOptions } from './tuning-fit';
import type { Model } from './types';

const FITS = 0;
const NOTHING_FITS = 1;
const BAD_INPUT = 2;

interface Flags {
  readonly output: 'table' | 'json';
  readonly size: readonly string[];
}

const command = new Command('plan')
  .description(
    'Say without a cluster what a Workspace manifest would get: sizes, node counts, parallelism, context length; for a tuning, GPU memory.',
  )
  .argument(
    '<file>',
    'YAML file with one Workspace and, optionally, the ConfigMap of its configuration; - is standard input',
  )
  .addOption(new Option('-o, --output <format>', 'how to print').choices(['table', 'json']).default('table'))
  .option('--size <instanceType>', 'size to judge instead of the manifest’s; may be repeated', collect, [])
  .exitOverride();

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** Runs the command; returns the exit code. */
async function plan(argv: readonly string[]): Promise<number> {
  try {
    command.parse([...argv], { from: 'user' });
    const { output, size } = command.opts<Flags>();
    const manifest = readManifest(readInput(command.args[0] ?? '-'));
    const model = await modelOf(manifest.preset, manifest.tuning === undefined ? 'inference' : 'tuning');
    const result = planOf(model, manifest, size.length > 0 ? size : manifest.instanceTypes);
    for (const note of manifest.notes) console.error(`note: ${note}`);
    console.log(output === 'json' ? JSON.stringify(result, undefined, 2) : textOf(result, manifest.tuning));
    return result.candidates.some((candidate) => candidate.fits) ? FITS : NOTHING_FITS;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? FITS : BAD_INPUT;
    if (error instanceof CauseError) console.error(`error: ${error.message}\n${remedyOf(error.failure)}`);
    else if (error instanceof DataFileError) console.error(`error: ${error.message}`);
    else throw error;
    return BAD_INPUT;
  }
}

function readInput(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new CauseError({ cause: 'InvalidInput', message: `FILE: ${message}` }, { cause: error });
  }
}

/** The model that a manifest names: from the catalogue, or described by the hub. */
export async function modelOf(name: string, purpose: 'inference' | 'tuning'): Promise<Model> {
  const field = `${purpose}.preset.name`;
  const retired = retiredPreset(name);
  if (retired !== undefined) throw new CauseError({ cause: 'InvalidInput', message: `${field}: ${retired.message}` });
  const preset = findPreset(name);
  if (preset !== undefined) return preset;
  if (!name.includes('/')) {
    const known = presetNames().filter((preset) => !preset.includes('/'));
    throw new CauseError({
      cause: 'InvalidInput',
      message: `${field}: Unsupported ${purpose} preset name ${name}; take organisation/model of Hugging Face or one of ${known.join(', ')}`,
    });
  }
  // As Hugging Face's own tools: a token, and the address of a mirror.
  const { HF_TOKEN: token, HF_ENDPOINT: hubUrl } = process.env;
  try {
    return await describeModel(name, {
      signal: new AbortController().signal,
      ...(token === undefined ? {} : { token }),
      ...(hubUrl === undefined ? {} : { hubUrl }),
    });
  } catch (error) {
    if (!(error instanceof CauseError)) throw error;
    throw new CauseError({ ...error.failure, message: `${field}: ${error.message}` }, { cause: error });
  }
}

/** A table below a line about the model. */
function textOf({ model, candidates }: Plan, tuning: TuningOptions | undefined): string {
  const facts = `${model.id}: weights ${model.weightsGiB} GiB, disk ${model.diskGiB} GiB`;
  return tuning === undefined
    ? [`${facts}, up to ${model.maxModelLen} tokens`, '', tableOf(INFERENCE_COLUMNS, candidates)].join('\n')
    : [`${facts}, tuned by ${tuning.method}`, '', tableOf(TUNING_COLUMNS, candidates)].join('\n');
}

type Candidate = Plan['candidates'][number];
type Columns = Readonly<Record<string, (candidate: Candidate) => string>>;

const FITS_COLUMNS: Columns = {
  SIZE: ({ instanceType }) => instanceType,
  FITS: ({ fits }) => (fits ? 'yes' : 'no'),
};
const INFERENCE_COLUMNS: Columns = {
  ...FITS_COLUMNS,
  NODES: ({ nodeCount }) => cell(nodeCount),
  'GPUS/NODE': ({ gpusPerNode }) => cell(gpusPerNode),
  TENSOR: ({ tensorParallel }) => cell(tensorParallel),
  DATA: ({ dataParallel }) => cell(dataParallel),
  PIPELINE: ({ pipelineParallel }) => cell(pipelineParallel),
  'MAX-MODEL-LEN': ({ maxModelLen }) => cell(maxModelLen),
  NOTE: ({ reason }) => reason,
};
const TUNING_COLUMNS: Columns = {
  ...FITS_COLUMNS,
  GPUS: ({ gpusPerNode }) => cell(gpusPerNode),
  'GIB/GPU': ({ neededGpuMemoryGiB }) => cell(neededGpuMemoryGiB ?? null),
  NOTE: ({ reason }) => reason,
};

function tableOf(columns: Columns, candidates: readonly Candidate[]): string {
  const header = Object.keys(columns);
  const rows = candidates.map((candidate) => Object.values(columns).map((column) => column(candidate)));
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [header, ...rows].map(line).join('\n');
}

function cell(value: number | null): string {
  return value === null ? '-' : String(value);
}

if (require.main === module) {
  void plan(process.argv.slice(2)).then((code) => {
    process.exitCode = code;
  });
}
