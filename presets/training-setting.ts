import { didYouMean } from './near-names';

/** What a key of `training_config.yaml` takes: `int | null`, `'no' | 'steps' | 'epoch'`, as the libraries' classes declare it. */
export interface SettingKind {
  readonly types: ReadonlySet<string>;
  /** Words that are allowed. */
  readonly words: readonly string[];
}

/** Reads a kind as the data file spells it. */
export function settingKind(text: string): SettingKind {
  const parts = text.split(' | ');
  return {
    types: new Set(parts.filter((part) => !part.startsWith("'"))),
    words: parts.filter((part) => part.startsWith("'")).map((part) => part.slice(1, -1)),
  };
}

/** The value as the libraries take it, or why they don't. */
export type Setting = { readonly value: unknown } | { readonly problem: string };

/**
 * Judges a value as the training program does: text that is a number counts as one, and `false` as the word `no`, which YAML 1.1 reads so. Null
 * leaves a key at its default, whatever its kind.
 */
export function readSetting(kind: SettingKind, value: unknown): Setting {
  if (value === null || value === undefined) return { value: null };
  if (typeof value === 'boolean') return readBoolean(kind, value);
  if (typeof value === 'number') return readNumber(kind, value);
  if (typeof value === 'string') return readText(kind, value);
  if (Array.isArray(value)) return isListOf(kind, value) ? { value } : refused(kind, value);
  return kind.types.has('dict') && isPlainMap(value) ? { value } : refused(kind, value);
}

function readBoolean(kind: SettingKind, value: boolean): Setting {
  if (kind.types.has('bool')) return { value };
  return !value && kind.words.includes('no') ? { value: 'no' } : refused(kind, value);
}

function readNumber(kind: SettingKind, value: number): Setting {
  if (kind.types.has('float') || (kind.types.has('int') && Number.isInteger(value))) return { value };
  return kind.types.has('str') ? { value: String(value) } : refused(kind, value);
}

function readText(kind: SettingKind, value: string): Setting {
  if (kind.types.has('str') || kind.words.includes(value)) return { value };
  if (kind.types.has('bool') && /^(?:true|false)$/i.test(value)) return { value: value.toLowerCase() === 'true' };
  const isNumber = value.trim() !== '' && Number.isFinite(Number(value));
  return isNumber && (kind.types.has('int') || kind.types.has('float'))
    ? readNumber(kind, Number(value))
    : refused(kind, value);
}

function isListOf({ types }: SettingKind, values: readonly unknown[]): boolean {
  return (
    types.has('list') ||
    (types.has('list[str]') && values.every((value) => typeof value === 'string')) ||
    (types.has('list[int]') && values.every((value) => Number.isInteger(value)))
  );
}

function isPlainMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Only so many words are listed; some keys have dozens. */
const LISTED = 8;
const LONGEST = 60;

function refused({ types, words }: SettingKind, value: unknown): Setting {
  const listed = words.slice(0, LISTED).map((word) => `'${word}'`);
  const rest = words.length > LISTED ? [`${words.length - LISTED} other words`] : [];
  const wanted = [...listed, ...rest, ...types].join(', ');
  const hint = typeof value === 'string' ? didYouMean(value, words) : '';
  return { problem: `${shown(value)} is none of ${wanted}${hint}` };
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}
