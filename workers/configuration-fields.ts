/** What the schema of environment variables is made of. */
import { msToNumber } from '@temporalio/common/lib/time';
import { z } from 'zod';

export const duration = (description: string, byDefault: string) =>
  z
    .string()
    .default(byDefault)
    .transform((text, context) => {
      const ms = msOf(text);
      if (ms !== undefined) return ms;
      context.addIssue({ code: 'custom', message: `'${text}' is no duration; write for example 90s, 10m or 2h` });
      return z.NEVER;
    })
    .meta({ description, default: byDefault });

function msOf(text: string): number | undefined {
  try {
    const ms = msToNumber(text);
    return ms > 0 ? ms : undefined;
  } catch {
    return undefined;
  }
}

/** `problemOf` tells what is wrong with an item. */
export const list = (description: string, problemOf?: (item: string) => string | undefined) =>
  z
    .string()
    .default('')
    .transform((text, context) => {
      const items = text
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== '');
      for (const message of items.map((item) => problemOf?.(item)).filter((problem) => problem !== undefined)) {
        context.addIssue({ code: 'custom', message });
      }
      return items;
    })
    .meta({ description, default: '' });

/** A text that may be unset, or that has a default. */
export function text(description: string): z.ZodOptional<z.ZodString>;
export function text(description: string, byDefault: string): z.ZodDefault<z.ZodString>;
export function text(description: string, byDefault?: string) {
  const schema = z.string().min(1);
  return byDefault === undefined
    ? schema.optional().meta({ description })
    : schema.default(byDefault).meta({ description, default: byDefault });
}

export const count = (description: string, byDefault: number, least = 1) =>
  z.coerce
    .number()
    .int()
    .min(least)
    .default(byDefault)
    .meta({ description, default: String(byDefault) });

const PORTS = 65_535;

export const httpPort = z
  .string()
  .regex(/^([0-9]{1,5}|off)$/, 'write a port number, 0 for any free one, or off')
  .default('9090')
  .transform((text, context) => {
    if (text === 'off') return text;
    const port = Number(text);
    if (port <= PORTS) return port;
    context.addIssue({ code: 'custom', message: `${text} is no port: the highest is ${PORTS}` });
    return z.NEVER;
  })
  .meta({
    description: 'Port of /metrics, /healthz and /readyz; 0 for any free one, off for none.',
    default: '9090',
  });
