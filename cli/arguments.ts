import { Argument, InvalidArgumentError, Option } from 'commander';
import { DNS_SUBDOMAIN } from '../api/patterns';
import { parseDuration } from './times';

const NAME = new RegExp(DNS_SUBDOMAIN);

/** The Workspace's name; what can be none is refused before anybody is asked. */
export function nameArgument(syntax = '<name>'): Argument {
  return new Argument(syntax, 'Workspace').argParser(parseName);
}

/** Names of Kubernetes: lower-case letters, digits, `-` and `.`. */
export function parseName(value: string): string {
  if (value.length > 253 || !NAME.test(value)) {
    throw new InvalidArgumentError('a name has lower-case letters, digits, "-" and "." only.');
  }
  return value;
}

export function parseTime(value: string): number {
  const ms = parseDuration(value);
  if (ms === undefined || ms === 0) throw new InvalidArgumentError('write for example 90s, 10m or 2h.');
  return ms;
}

export function parseCount(value: string): number {
  const count = Number(value);
  if (!/^\d+$/.test(value) || count < 1) throw new InvalidArgumentError('write a whole number from 1.');
  return count;
}

/** `--timeout`, with the time that a command waits without it. */
export function timeoutOption(byDefault: string): Option {
  return new Option('--timeout <time>', 'longest time to wait, for example 90s or 10m')
    .argParser(parseTime)
    .default(parseDuration(byDefault), byDefault);
}
