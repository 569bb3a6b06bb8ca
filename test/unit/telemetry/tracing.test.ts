import { SILENT_LOGGER } from '../../../kubernetes/logger';
import { openTracing, type Tracing } from '../../../telemetry/tracing';
import { startCollector, type Collector } from '../../fakes/otlp/collector';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' };
const opened: Tracing[] = [];
let collector: Collector;

const open = (variables: Record<string, string>): Tracing => {
  const tracing = openTracing(variables, '1.0.0', SILENT_LOGGER);
  opened.push(tracing);
  return tracing;
};

beforeAll(async () => {
  collector = await startCollector();
  // The exporter reads its endpoint by itself.
  process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = collector.endpoint;
});

/** Spans are sent before a tracing closes, not after the tests have ended. */
afterEach(async () => {
  for (const tracing of opened.splice(0)) await tracing.close();
});

afterAll(async () => {
  delete process.env['OTEL_EXPORTER_OTLP_ENDPOINT'];
  await collector.close();
});

const within = (tracing: Tracing) => tracing.span('outer', {}, {}, () => Promise.resolve(tracing.traceparent()));

it.each([
  ['nothing is set', {}],
  ['it is disabled', { ...ENDPOINT, OTEL_SDK_DISABLED: 'true' }],
  ['no exporter is wanted', { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }],
])('is off while %s', async (_, variables) => {
  expect(await within(open(variables))).toBeUndefined();
});

it.each([
  ['every trace', {}, '01'],
  ['no trace', { OTEL_TRACES_SAMPLER: 'always_off' }, '00'],
  ['a share of nothing', { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }, '00'],
  ['a share of all', { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '1' }, '01'],
])('keeps %s', async (_, variables, flags) => {
  const sentBefore = collector.spans.length;
  const tracing = open({ ...ENDPOINT, ...variables });
  expect(await within(tracing)).toMatch(new RegExp(`^00-[0-9a-f]{32}-[0-9a-f]{16}-${flags}$`));
  await tracing.close();
  expect(collector.spans.slice(sentBefore).map(({ name }) => name)).toEqual(flags === '01' ? ['outer'] : []);
});

it('goes on with the trace of another process, and with its decision', async () => {
  const tracing = open(ENDPOINT);
  const parent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`;
  const inner = await tracing.span('inner', { parent }, {}, () => Promise.resolve(tracing.traceparent()));
  expect(inner).toMatch(/^00-a{32}-(?!b{16})[0-9a-f]{16}-00$/);
});

it('begins a trace of its own where the header is nonsense', async () => {
  const tracing = open(ENDPOINT);
  const inner = await tracing.span('inner', { parent: 'nonsense' }, {}, () => Promise.resolve(tracing.traceparent()));
  expect(inner).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
});

it.each([
  [
    { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' },
    "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc': traces are sent by http/protobuf only",
  ],
  [{ OTEL_TRACES_SAMPLER: 'some' }, "OTEL_TRACES_SAMPLER is 'some': write one of always_on"],
  [
    { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '7' },
    "OTEL_TRACES_SAMPLER_ARG is '7': write a number from 0 to 1",
  ],
  [{ OTEL_BSP_SCHEDULE_DELAY: 'soon' }, "OTEL_BSP_SCHEDULE_DELAY is 'soon': write a whole number"],
])('refuses what is not offered: %j', (variables, message) => {
  expect(() => open({ ...ENDPOINT, ...variables })).toThrow(message);
});
