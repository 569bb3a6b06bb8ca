import type { ProcessIdentity } from './processes';
import type { ProgramName } from './programs';
import type { ComponentName, State } from './state';

/** One process of the environment: how to run it, when it is ready, what it needs before. */
export interface Component {
  readonly name: ComponentName;
  /** A program of the catalogue, or a command of this machine. */
  readonly program: ProgramName | { readonly command: string };
  readonly needs: readonly ComponentName[];
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The command line that runs the program's; asked for at each start. */
  readonly within?: () => readonly string[];
  /** Done before each start. */
  readonly beforeStart?: () => Promise<void>;
  /** Resolves to true once it answers. */
  readonly isReady: () => Promise<boolean>;
  /** Done when it answers: after a start, and at each `up` also when it ran already. What is right already stays as it is. */
  readonly afterStart?: (run: ComponentRun) => Promise<void>;
}

/** One run of a component's process. */
export interface ComponentRun {
  readonly identity: ProcessIdentity;
  /** When it was started, if that was just now. */
  readonly startedAtMs?: number;
}

/** Makes the component of an environment. */
export type ComponentBuilder = (dir: string, state: State) => Component;
