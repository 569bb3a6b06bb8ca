/**
 * Paths at which `actual` lacks or contradicts what `wanted` says. What the API server adds by itself (defaults, more fields) is no difference.
 */
export function differences(wanted: unknown, actual: unknown, path = 'spec'): readonly string[] {
  if (Array.isArray(wanted)) {
    if (!Array.isArray(actual) || actual.length !== wanted.length) return [path];
    return wanted.flatMap((item, index) => differences(item, (actual as unknown[])[index], `${path}[${index}]`));
  }
  if (typeof wanted === 'object' && wanted !== null) {
    if (typeof actual !== 'object' || actual === null) return [path];
    return Object.entries(wanted).flatMap(([key, value]) =>
      // The server leaves out what is unset.
      value === undefined ? [] : differences(value, (actual as Record<string, unknown>)[key], `${path}.${key}`),
    );
  }
  return wanted === actual ? [] : [path];
}
