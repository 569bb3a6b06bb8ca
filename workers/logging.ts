import { Runtime, type Logger as TemporalLogger, type LogLevel } from '@temporalio/worker';
import pino from 'pino';
import type { Logger } from '../kubernetes/logger';

/** One structured log for our own lines and for Temporal's: JSON on standard output. */
export function createLogger(level: 'debug' | 'info' | 'warn' | 'error'): Logger {
  const log = pino({ level, serializers: { error: pino.stdSerializers.err } });
  return {
    debug: (message, fields) => log.debug(fields ?? {}, message),
    info: (message, fields) => log.info(fields ?? {}, message),
    warn: (message, fields) => log.warn(fields ?? {}, message),
    error: (message, fields) => log.error(fields ?? {}, message),
  };
}

/** Sends the SDK's log lines to ours. Once per process, before the first connection. */
export function installRuntime(logger: Logger): void {
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
  Runtime.install({ logger: temporalLogger, shutdownSignals: [] });
}
