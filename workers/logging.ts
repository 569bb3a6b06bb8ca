import { Runtime, type Logger as TemporalLogger, type LogLevel, type RuntimeOptions } from '@temporalio/worker';
import pino, { type DestinationStream } from 'pino';
import type { LogFields, Logger } from '../kubernetes/logger';
import { redactFields, redactText } from '../telemetry/redaction';
import { currentFields } from '../telemetry/scope';

/**
 * One structured log for our own lines and for Temporal's: JSON, one object a line, on standard output unless another destination is given. Each line
 * says what the code is at work on (Workspace, workflow, step, attempt), and none holds a secret.
 */
export function createLogger(level: 'debug' | 'info' | 'warn' | 'error', destination?: DestinationStream): Logger {
  const options = { level, hooks: { streamWrite: redactText } };
  const log = destination === undefined ? pino(options) : pino(options, destination);
  const write =
    (at: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: LogFields = {}): void => {
      if (!log.isLevelEnabled(at)) return;
      log[at](redactFields({ ...currentFields(), ...fields }), message);
    };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

/** Sends the SDK's log lines to ours, those of its native part too. Once per process, before the first connection. */
export function installRuntime(
  logger: Logger,
  telemetryOptions: Pick<NonNullable<RuntimeOptions['telemetryOptions']>, 'metrics'> = {},
): void {
  const write = (level: LogLevel, message: string, meta?: object): void => {
    const fields = meta as Record<string, unknown> | undefined;
    switch (level) {
      case 'TRACE':
      case 'DEBUG':
        return logger.debug(message, fields);
      case 'INFO':
        // What the SDK tells of its own starts and stops is detail here.
        return logger.debug(message, fields);
      case 'WARN':
        return logger.warn(message, fields);
      case 'ERROR':
        return logger.error(message, fields);
    }
  };
  const temporalLogger: TemporalLogger = {
    log: write,
    trace: (message, meta) => write('TRACE', message, meta),
    debug: (message, meta) => write('DEBUG', message, meta),
    info: (message, meta) => write('INFO', message, meta),
    warn: (message, meta) => write('WARN', message, meta),
    error: (message, meta) => write('ERROR', message, meta),
  };
  Runtime.install({
    logger: temporalLogger,
    shutdownSignals: [],
    telemetryOptions: { ...telemetryOptions, logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } },
  });
}
