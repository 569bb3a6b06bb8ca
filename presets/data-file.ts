import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';

/** A data file that is unreadable or breaks its schema; the message names file, entry and field. */
export class DataFileError extends Error {
  override readonly name = 'DataFileError';
}

/** Path of a data file that ships with the product. */
export function shippedDataFile(name: string): string {
  return join(__dirname, 'data', name);
}

/**
 * Reads a JSON file and checks it.
 *
 * @throws DataFileError naming the file and, for lists, the entry by its `id`, `instanceType` or `profile`.
 */
export function readDataFile<S extends z.ZodType>(path: string, schema: S): z.output<S> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new DataFileError(`${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${entryName(content, issue.path)}${issue.message}`);
  throw new DataFileError(`${path}: ${problems.join('; ')}`);
}

/** `entry 3 (microsoft/phi-4), field heads: `, as far as the path tells. */
function entryName(content: unknown, path: readonly PropertyKey[]): string {
  const [index, ...field] = path;
  if (index === undefined) return '';
  if (!Array.isArray(content) || typeof index !== 'number') return `field ${path.map(String).join('.')}: `;
  const entry: unknown = content[index];
  const name =
    typeof entry === 'object' && entry !== null
      ? ['id', 'instanceType', 'profile'].map((key) => (entry as Record<string, unknown>)[key]).find(Boolean)
      : entry;
  const label = `entry ${index + 1}${typeof name === 'string' ? ` (${name})` : ''}`;
  return field.length > 0 ? `${label}, field ${field.map(String).join('.')}: ` : `${label}: `;
}
