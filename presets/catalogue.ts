import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { PRESET_ALIASES } from '../api/preset-names';
import { RETIRED_PRESETS } from '../api/retired-presets';
import { DataFileError, readDataFile, shippedDataFile } from './data-file';
import { modelFactsSchema, modelOf } from './model-facts';
import type { Model } from './types';

/** Directory with further catalogue files (`*.json`, schema of `presets/data/models.json`). */
const PRESETS_DIR_VARIABLE = 'KAITO_PRESETS_DIR';

const fileSchema = z.array(modelFactsSchema);
const ALIASES = new Map<string, string>(Object.entries(PRESET_ALIASES));
const RETIRED = new Map<string, string>(Object.entries(RETIRED_PRESETS));

/**
 * Loads a catalogue: the shipped models and those of every `*.json` in `directory`.
 *
 * @throws DataFileError when a file is unreadable, breaks the schema, or describes a model a second time.
 */
export function loadCatalogue(directory?: string): ReadonlyMap<string, Model> {
  const models = new Map<string, Model>();
  for (const file of [shippedDataFile('models.json'), ...(directory === undefined ? [] : jsonFiles(directory))]) {
    readDataFile(file, fileSchema).forEach((facts, index) => {
      const key = facts.id.toLowerCase();
      if (models.has(key)) {
        throw new DataFileError(`${file}: entry ${index + 1} (${facts.id}): the catalogue already has this model`);
      }
      models.set(key, modelOf(facts));
    });
  }
  return models;
}

function jsonFiles(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.json'))
      .sort()
      .map((name) => join(directory, name));
  } catch (error) {
    throw new DataFileError(`${PRESETS_DIR_VARIABLE}=${directory}: the directory can't be read`, { cause: error });
  }
}

let loaded: ReadonlyMap<string, Model> | undefined;

function catalogue(): ReadonlyMap<string, Model> {
  return (loaded ??= loadCatalogue(process.env[PRESETS_DIR_VARIABLE] || undefined));
}

/** The catalogue's model for an alias or a Hugging Face id, in any case; `undefined` when it has none. */
export function findPreset(name: string): Model | undefined {
  const key = name.toLowerCase();
  return catalogue().get((ALIASES.get(key) ?? key).toLowerCase());
}

/** Every name that needs no network: aliases first, then ids as published. */
export function presetNames(): readonly string[] {
  return [...ALIASES.keys(), ...[...catalogue().values()].map((model) => model.id)];
}

/** What to tell a user whose manifest names a preset of an older KAITO that is gone. */
export function retiredPreset(name: string): { readonly message: string } | undefined {
  const instead = RETIRED.get(name.toLowerCase());
  return instead === undefined ? undefined : { message: `preset ${name} is retired: use ${instead} instead` };
}
