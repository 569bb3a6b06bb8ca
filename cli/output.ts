import { Option } from 'commander';
import { stringify } from 'yaml';
import type { Io } from './io';

export type Format = 'table' | 'wide' | 'json' | 'yaml';

/** `-o`, with the formats that a command knows. */
export function outputOption(formats: readonly Format[] = ['table', 'wide', 'json', 'yaml']): Option {
  return new Option('-o, --output <format>', 'how to print').choices([...formats]).default('table');
}

/** Prints what scripts read; false when it is for people. */
export function printData(io: Io, format: Format, data: () => unknown): boolean {
  switch (format) {
    case 'json':
      io.out(`${JSON.stringify(data(), undefined, 2)}\n`);
      return true;
    case 'yaml':
      io.out(stringify(data(), { aliasDuplicateObjects: false, lineWidth: 0 }));
      return true;
    case 'table':
    case 'wide':
      return false;
  }
}
