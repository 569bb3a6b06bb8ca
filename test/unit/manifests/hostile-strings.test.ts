import type { V1Container, V1PodSpec } from '@kubernetes/client-node';
import fc from 'fast-check';
import { inferenceStatefulSet } from '../../../manifests/stateful-set';
import { GROUP_COMMAND } from '../../../manifests/group';
import { pushJob } from '../../../manifests/tuning/push-job';
import { trainingJob } from '../../../manifests/tuning/training-job';
import { verbatim } from '../../../manifests/verbatim';
import { parseInferenceConfig } from '../../../presets/inference-config';
import { inferenceInput, ONE_V100, PHI_3, TWO_NODES, workspace, QUICK_START } from './fixtures';
import { trainingInput, TUNING_PLAN, tuningWorkspace } from './tuning/fixtures';

/** What users write reaches programs as single, unchanged arguments: no shell and no kubelet reads more into it. */

const EXPANDED = '\0expanded';

/** What the kubelet makes of `$` in arguments and variables (k8s.io/kubernetes/third_party/forked/golang/expansion), every variable being set. */
function expanded(text: string): string {
  return text.replaceAll(/\$\$|\$\([^)]*\)/g, (match) => (match === '$$' ? '$' : EXPANDED));
}

/** Texts in which a shell, the kubelet, a YAML reader or vLLM's own parser would find something. */
const hostile = fc.oneof(
  fc.constantFrom(
    '$(HF_TOKEN)',
    '$$(HF_TOKEN)',
    '$$$(HF_TOKEN)',
    '$(cat /etc/passwd)',
    '`id`',
    '; rm -rf / #',
    '"; exec sh; "',
    "'$(id)'",
    '--trust-remote-code',
    'a b\tc\nd',
    '$',
    '$(',
    '{"a": "$(HF_TOKEN)"}',
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc
    .array(fc.constantFrom('$', '(', ')', 'X', ' ', '"', "'", '\\', '\n', '-'), { maxLength: 12 })
    .map((parts) => parts.join('')),
);

const PROGRAMS = ['serve', 'pull-image', 'prepare-dataset', 'tune', 'push', 'python3'];

function containersOf({ initContainers = [], containers }: V1PodSpec): readonly V1Container[] {
  return [...initContainers, ...containers];
}

/** The words that a container's program is started with, as the kubelet hands them over. */
function argvOf({ command = [], args = [] }: V1Container): readonly string[] {
  return [...command, ...args].map(expanded);
}

/** Our programs are named by constants, and the one shell gets a constant script: the rest are its arguments. */
function startsOneOfOurs(container: V1Container): boolean {
  const { command = [] } = container;
  const isShell = command.join('\0') === GROUP_COMMAND.join('\0');
  return isShell || (PROGRAMS.includes(command[0] ?? '') && !command.includes('-c'));
}

test('a text is what it was after the kubelet has read it', () => {
  fc.assert(fc.property(hostile, (text) => expect(expanded(verbatim(text))).toBe(text)));
  expect(expanded('$(HF_TOKEN)')).toBe(EXPANDED);
});

describe('options of inference_config.yaml', () => {
  const options = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9-]{2,20}$/), hostile, { maxKeys: 5 });

  test.each([
    ['one node', ONE_V100],
    ['two nodes', TWO_NODES],
  ])('on %s are one argument each, and run nothing', (_, candidate) => {
    fc.assert(
      fc.property(options, (config) => {
        const { spec } = inferenceStatefulSet(inferenceInput({ config, candidate })).spec.template;
        const [server] = spec!.containers;
        const argv = argvOf(server!);
        expect(startsOneOfOurs(server!)).toBe(true);
        for (const [name, value] of Object.entries(config)) {
          if (OURS.has(name)) continue;
          expect(argv).toContain(value === '' ? `--${name}` : `--${name}=${value}`);
        }
        // The one variable in our own words is the rank of a group.
        const withVariable = argv.filter((word) => word.includes(EXPANDED));
        expect(withVariable).toEqual(candidate === TWO_NODES ? [`--node-rank=${EXPANDED}`] : []);
      }),
    );
  });

  /** Options that probes, Services and the other nodes of a group rely on. */
  const OURS = new Set(['port', 'nnodes', 'node-rank', 'master-addr', 'master-port', 'distributed-timeout-seconds']);

  test('cannot name what is no option', () => {
    fc.assert(
      fc.property(hostile, (name) => {
        const read = (): unknown => parseInferenceConfig(JSON.stringify({ vllm: { [name]: 'x' } }));
        if (/^[A-Za-z0-9][\w.-]*$/.test(name)) expect(read).not.toThrow();
        else expect(read).toThrow('is no option name');
      }),
    );
  });
});

test('images, addresses and names of a tuning are one argument or variable each', () => {
  fc.assert(
    fc.property(
      hostile,
      hostile,
      hostile,
      fc.array(hostile, { minLength: 1, maxLength: 3 }),
      (image, data, preset, urls) => {
        const tuned = tuningWorkspace({ preset: { name: preset }, input: { urls } });
        const fromImage = tuningWorkspace({ input: { image: data, imagePullSecrets: ['s'] } });
        const jobs = [
          trainingJob(trainingInput({ workspace: tuned })),
          trainingJob(trainingInput({ workspace: fromImage })),
          pushJob({
            workspace: tuned,
            tuning: { ...TUNING_PLAN, push: { image, secretName: 'push', patienceMs: 1 } },
            configuration: trainingInput().configuration,
          }),
        ];
        const containers = jobs.flatMap(({ spec }) => containersOf(spec.template.spec!));
        const words = containers.flatMap(argvOf);
        const values = containers.flatMap(({ env = [] }) =>
          env.flatMap(({ value }) => (value === undefined ? [] : [expanded(value)])),
        );

        expect(containers.every(startsOneOfOurs)).toBe(true);
        expect(words).toEqual(
          expect.arrayContaining([
            `--image=${image}`,
            `--image=${data}`,
            `--preset=${preset}`,
            `--annotation=sh.kaito.model.name=${preset}`,
          ]),
        );
        expect(values).toContain(JSON.stringify(urls));
        expect([...words, ...values].filter((word) => word.includes(EXPANDED))).toEqual([]);
      },
    ),
  );
});

test('images of models and adapters are one argument each', () => {
  fc.assert(
    fc.property(hostile, hostile, (weights, adapter) => {
      const preset = { name: PHI_3.shortName, accessMode: 'private', presetOptions: { image: weights } };
      const adapters = [{ source: { name: 'mine', image: adapter }, strength: '0.5' }];
      const input = inferenceInput({ workspace: workspace({ ...QUICK_START, inference: { preset, adapters } }) });
      const { spec } = inferenceStatefulSet(input).spec.template;
      const containers = containersOf(spec!);
      expect(containers.every(startsOneOfOurs)).toBe(true);
      expect(containers.flatMap(argvOf)).toEqual(expect.arrayContaining([`--image=${weights}`, `--image=${adapter}`]));
    }),
  );
});
