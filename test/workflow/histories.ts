import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

import { temporal } from '@temporalio/proto';

const FOLDER = path.join(__dirname, 'histories');

/** A history as protobufjs prints it; see {@link historyOf}. */
export interface HistoryJson {
  readonly events: readonly Readonly<Record<string, unknown>>[];
}

/** Recorded histories by name. */
export async function recordedHistories(): Promise<ReadonlyMap<string, HistoryJson>> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith('.json')).sort();
  const histories = files.map(async (file): Promise<[string, HistoryJson]> => {
    const text = await readFile(path.join(FOLDER, file), 'utf8');
    return [path.basename(file, '.json'), JSON.parse(text) as HistoryJson];
  });
  return new Map(await Promise.all(histories));
}

/**
 * The history as the worker replays it. The SDK's own reader of JSON takes this for a message of another copy of protobufjs when npm has
 * installed several.
 */
export function historyOf(json: HistoryJson): temporal.api.history.v1.IHistory {
  return temporal.api.history.v1.History.fromObject(json);
}

/** What a history must not hold: payloads that are too large, and what looks like a secret. One line each. */
export function offencesOf({ events }: HistoryJson): readonly string[] {
  return events.flatMap((event) =>
    textsOf(event).flatMap(({ at, text }) => {
      const where = `event ${String(event['eventId'])}, ${at}`;
      const size = Buffer.byteLength(text);
      return [
        ...(size > MOST_BYTES ? [`${where}: ${size} bytes`] : []),
        ...SECRETS.filter(({ looks }) => looks.test(text)).map(({ like }) => `${where}: looks like ${like}`),
      ];
    }),
  );
}

const MOST_BYTES = 64 * 1024;

const SECRETS: readonly { readonly like: string; readonly looks: RegExp }[] = [
  { like: 'a token of the Hugging Face hub', looks: /\bhf_[A-Za-z0-9]{16,}/ },
  { like: 'a JSON web token', looks: /\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\./ },
  { like: 'a private key', looks: /-----BEGIN [A-Z ]*PRIVATE KEY-----/ },
  { like: 'a key of AWS', looks: /\bAKIA[0-9A-Z]{16}\b/ },
  { like: 'registry credentials', looks: /"auths"\s*:/ },
  { like: 'a field that holds a secret', looks: /"(password|token|secret|api_?key|clientSecret)"\s*:\s*"[^"]+"/i },
  { like: 'the data of a Secret', looks: /"kind"\s*:\s*"Secret"/ },
];

interface Text {
  readonly at: string;
  readonly text: string;
}

/** Every payload of an event, decoded, and every other text. */
function textsOf(value: unknown, at = ''): readonly Text[] {
  if (typeof value === 'string') return [{ at, text: value }];
  if (typeof value !== 'object' || value === null) return [];
  const { metadata, data } = value as { metadata?: unknown; data?: unknown };
  if (metadata !== undefined && typeof data === 'string') {
    return [{ at, text: Buffer.from(data, 'base64').toString('utf8') }];
  }
  return Object.entries(value).flatMap(([key, inner]) => textsOf(inner, at === '' ? key : `${at}.${key}`));
}
