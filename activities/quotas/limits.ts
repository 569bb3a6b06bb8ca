/**
 * What each namespace may buy, from a file of the installation: users of a namespace can't write it. It is read again when it changes, so that a
 * quota can be raised while Workspaces wait for it.
 */
import { readFileSync, statSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { DNS_LABEL } from '../../api/patterns';
import type { Logger } from '../../kubernetes/logger';

const limitsSchema = z.strictObject({
  maxMachines: z
    .int()
    .min(0)
    .optional()
    .meta({ description: 'Machines that all Workspaces of the namespace have together.' }),
  maxPricePerHour: z
    .number()
    .min(0)
    .optional()
    .meta({ description: 'What these may cost together, USD an hour by the cloud’s public list.' }),
});

/** The file, and the chart's value `quotas`. */
export const quotaFileSchema = z.strictObject({
  /** Of namespaces that have no entry; a namespace's own entry stands alone. */
  default: limitsSchema.optional(),
  namespaces: z.record(z.string().regex(new RegExp(DNS_LABEL), 'is no name of a namespace'), limitsSchema).optional(),
});

/** What is not limited is left out. */
export type Limits = Readonly<z.infer<typeof limitsSchema>>;

export interface Quotas {
  /** Undefined: nothing is limited. */
  of(namespace: string): Limits | undefined;
}

type QuotaFile = z.infer<typeof quotaFileSchema>;

/**
 * Opens the file.
 *
 * @throws Error that names every wrong entry, when the file can't be read at first. A later version that is wrong is told in the log, and the last
 * good one stays in force.
 */
export function openQuotas(path: string, logger: Logger): Quotas {
  let version = versionOf(path);
  let content = read(path);
  const refresh = (): void => {
    try {
      const found = versionOf(path);
      if (found === version) return;
      content = read(path);
      version = found;
      logger.info('quotas were read', { path, namespaces: Object.keys(content.namespaces ?? {}).length });
    } catch (error) {
      logger.error('quotas could not be read; the former ones stay in force', { path, error });
    }
  };
  return {
    of(namespace) {
      refresh();
      const own = content.namespaces;
      return own !== undefined && Object.hasOwn(own, namespace) ? own[namespace] : content.default;
    },
  };
}

/** A ConfigMap's mount changes by turning a link: the file behind it is another. */
function versionOf(path: string): string {
  const { ino, mtimeMs, size } = statSync(path);
  return `${ino}/${mtimeMs}/${size}`;
}

function read(path: string): QuotaFile {
  const document = parseDocument(readFileSync(path, 'utf8'));
  const [syntaxError] = document.errors;
  if (syntaxError !== undefined) throw new Error(`${path}: ${syntaxError.message}`);
  const parsed = quotaFileSchema.safeParse(document.toJS() ?? {});
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => {
    const told = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
    return `  ${issue.path.join('.') || 'the file'}: ${told}`;
  });
  throw new Error(
    `${path}: no quotas; write default: {maxMachines, maxPricePerHour} and namespaces: {NAME: {…}}:\n${problems.join('\n')}`,
  );
}
