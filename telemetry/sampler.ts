import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace';

/** As `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` say: the SDK no longer reads them itself. Throws, naming the variable, where they say nonsense. */
export function samplerOf(environment: Readonly<Record<string, string | undefined>>): Sampler {
  const name = environment.OTEL_TRACES_SAMPLER ?? '';
  switch (name) {
    case '':
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratioOf(environment.OTEL_TRACES_SAMPLER_ARG));
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({
        root: new TraceIdRatioBasedSampler(ratioOf(environment.OTEL_TRACES_SAMPLER_ARG)),
      });
    default:
      throw new Error(
        `OTEL_TRACES_SAMPLER is '${name}': write one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio`,
      );
  }
}

function ratioOf(text = ''): number {
  const ratio = text === '' ? 1 : Number(text);
  if (ratio >= 0 && ratio <= 1) return ratio;
  throw new Error(`OTEL_TRACES_SAMPLER_ARG is '${text}': write a number from 0 to 1`);
}
