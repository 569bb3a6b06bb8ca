import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import importX from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/** What each folder may import from the others; docs/architecture.md says why. */
const MAY_IMPORT = {
  api: [],
  presets: ['api'],
  manifests: ['api', 'presets'],
  kubernetes: ['api'],
  workflows: ['api'],
  activities: ['api', 'presets', 'manifests', 'kubernetes'],
  bridge: ['api', 'kubernetes', 'workflows'],
  telemetry: ['api', 'kubernetes'],
  workers: ['api', 'presets', 'manifests', 'kubernetes', 'workflows', 'activities', 'bridge', 'telemetry'],
  cli: ['api', 'presets', 'manifests', 'kubernetes', 'activities', 'bridge', 'workers'],
  local: ['api', 'presets'],
};
const FOLDERS = Object.keys(MAY_IMPORT);

const zones = FOLDERS.flatMap((target) =>
  FOLDERS.filter((from) => from !== target && !MAY_IMPORT[target].includes(from)).map((from) => ({
    target: `./${target}`,
    // Types of activities are the workflow's only view of them; the rule below keeps it to types.
    from: target === 'workflows' && from === 'activities' ? './none' : `./${from}`,
    // The pure derivation of health, and the caches it reads: the bridge and the steps judge alike.
    ...(target === 'bridge' && from === 'activities' ? { except: ['./observe'] } : {}),
  })),
);

export default tseslint.config(
  { ignores: ['node_modules', 'dist', '.local', '.local-real', 'coverage', '**/*.cjs', '**/*.mjs'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { 'import-x': importX },
    settings: { 'import-x/resolver': { node: { extensions: ['.ts', '.js', '.json'] } } },
    rules: {
      // Azure's SDK has cycles of its own, on which the rule would break off.
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      'import-x/no-default-export': 'error',
      'import-x/no-restricted-paths': ['error', { zones }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/require-await': 'off',
      eqeqeq: 'error',
    },
  },
  {
    files: ['workflows/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['node:*', 'fs', 'path', 'crypto', 'undici', '@kubernetes/*'],
              message: 'Workflow code is deterministic: do it in an activity.',
            },
          ],
        },
      ],
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['../activities/*', '../activities/**'],
              allowTypeImports: true,
              message: 'Workflows import types of activities only.',
            },
          ],
        },
      ],
    },
  },
  prettier,
);
