import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openQuotas } from '../../../../activities/quotas/limits';
import { SILENT_LOGGER } from '../../../../kubernetes/logger';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kaito-quotas-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(text: string): string {
  const file = path.join(folder, 'quotas.yaml');
  // As a ConfigMap's mount changes: another file in its place.
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
  return file;
}

test('a namespace has its own limits, or else the default', () => {
  const file = write('default: {maxMachines: 4}\nnamespaces:\n  team-a: {maxPricePerHour: 12.5}\n  free: {}\n');
  const quotas = openQuotas(file, SILENT_LOGGER);
  expect(quotas.of('team-a')).toEqual({ maxPricePerHour: 12.5 });
  expect(quotas.of('free')).toEqual({});
  expect(quotas.of('other')).toEqual({ maxMachines: 4 });
  expect(quotas.of('constructor')).toEqual({ maxMachines: 4 });
});

test('an empty file limits nothing', () => {
  expect(openQuotas(write(''), SILENT_LOGGER).of('any')).toBeUndefined();
});

test('a change holds at once; one that is wrong leaves what was', () => {
  const errors: string[] = [];
  const file = write('default: {maxMachines: 1}');
  const quotas = openQuotas(file, { ...SILENT_LOGGER, error: (message) => errors.push(message) });
  write('default: {maxMachines: 2}');
  expect(quotas.of('any')).toEqual({ maxMachines: 2 });
  write('default: {maxMachines: many}');
  expect(quotas.of('any')).toEqual({ maxMachines: 2 });
  expect(errors).toEqual(['quotas could not be read; the former ones stay in force']);
  rmSync(file);
  expect(quotas.of('any')).toEqual({ maxMachines: 2 });
});

test.each([
  ['default: {maxMachines: -1}', 'default.maxMachines: '],
  ['default: {maxMachines: 1.5}', 'default.maxMachines: '],
  ['default: {maxMachine: 1}', 'default: Unrecognized key: "maxMachine"'],
  ['namespaces: {Team: {maxMachines: 1}}', 'namespaces.Team: is no name of a namespace'],
  ['team-a: {maxMachines: 1}', 'the file: Unrecognized key: "team-a"'],
  ['- a', 'the file: '],
  ['a: [', 'quotas.yaml: '],
])('%s is refused at the start', (text, told) => {
  const file = write(text);
  expect(() => openQuotas(file, SILENT_LOGGER)).toThrow(told);
});
