import { z } from 'zod';

/**
 * What the schema files share: zod objects and lists that infer to readonly types, and CEL rules that travel with the field they judge into the
 * CustomResourceDefinition (through zod's metadata), so that a field, its description and its rules stand in one place.
 */

/** A CEL rule of a CustomResourceDefinition (`x-kubernetes-validations`). The API server puts the field's path before the message. */
export interface Rule {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  /** Unset means FieldValueInvalid, which shows the value, too. (FieldValueDuplicate would drop the message.) */
  readonly reason?: 'FieldValueForbidden' | 'FieldValueRequired';
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}

/** Facts beyond JSON Schema that zod carries into the CRD. */
export interface Facts {
  /** Said by `kubectl explain` and the reference page. */
  readonly description: string;
  readonly rules?: readonly Rule[];
  /** OpenAPI's formats that zod does not write: int32, int64. */
  readonly format?: 'int32' | 'int64' | 'date-time';
  /** Whole value is replaced when merged by server-side apply. */
  readonly atomic?: boolean;
  /** Server-side apply merges the list by these keys; values are unique by them. */
  readonly listMapKeys?: readonly string[];
  /** Duplicates are refused. */
  readonly set?: boolean;
  /** KAITO accepts the field and does nothing with it, or prefers another. */
  readonly deprecated?: string;
}

function metadataOf(facts: Facts): Record<string, unknown> {
  const { description, rules, format, atomic, listMapKeys, set, deprecated } = facts;
  const listType = atomic ? 'atomic' : set ? 'set' : listMapKeys && 'map';
  return {
    description: deprecated ? `Deprecated: ${deprecated} ${description}` : description,
    ...(rules && { 'x-kubernetes-validations': rules }),
    ...(format && { format }),
    ...(listType && { 'x-kubernetes-list-type': listType }),
    ...(listMapKeys && { 'x-kubernetes-list-map-keys': listMapKeys }),
  };
}

/** Attaches description and rules to any schema. */
export function field<S extends z.ZodType>(schema: S, facts: Facts): S {
  return schema.meta(metadataOf(facts));
}

/** An object whose inferred type is readonly. */
export function object<S extends z.ZodRawShape>(shape: S, facts: Facts) {
  const { atomic, ...rest } = facts;
  const meta = { ...metadataOf(rest), ...(atomic && { 'x-kubernetes-map-type': 'atomic' }) };
  return z.object(shape).readonly().meta(meta);
}

/** A list whose inferred type is readonly. Lists that are neither maps nor sets are replaced whole. */
export function list<S extends z.ZodType>(item: S, facts: Facts & { readonly maxItems?: number }) {
  const merge = facts.set || facts.listMapKeys ? {} : { atomic: true };
  const array = facts.maxItems === undefined ? z.array(item) : z.array(item).max(facts.maxItems);
  return array.readonly().meta(metadataOf({ ...facts, ...merge }));
}

/** A map from string to string. */
export function stringMap(facts: Facts & { readonly maxProperties?: number; readonly maxLength?: number }) {
  const value = facts.maxLength === undefined ? z.string() : z.string().max(facts.maxLength);
  const { maxProperties } = facts;
  return z
    .record(z.string(), value)
    .readonly()
    .meta({ ...metadataOf(facts), ...(maxProperties !== undefined && { maxProperties }) });
}

/** Kubernetes' own types: kept as they are, without a schema; the API server judges them when the workload is applied. */
export function schemaless<T extends object>(facts: Facts) {
  return z
    .custom<T>((value) => typeof value === 'object' && value !== null && !Array.isArray(value))
    .meta({ ...metadataOf(facts), type: 'object', 'x-kubernetes-preserve-unknown-fields': true });
}

/** A string. What users write has a greatest length: the cost of CEL rules is estimated from it. */
export function text(facts: Facts & { readonly maxLength?: number }) {
  const schema = facts.maxLength === undefined ? z.string() : z.string().max(facts.maxLength);
  return schema.meta(metadataOf(facts));
}

export function oneOf<const T extends readonly [string, ...string[]]>(values: T, facts: Facts) {
  return z.enum(values).meta(metadataOf(facts));
}

/** A decimal. Bounds are rules: the API server compares whole numbers with truncated bounds. */
export function decimal(facts: Facts) {
  return z.number().meta(metadataOf(facts));
}

/** An integer of 32 bits. */
export function int32(facts: Facts, minimum?: number) {
  const schema = minimum === undefined ? z.int() : z.int().min(minimum);
  return schema.meta(metadataOf({ ...facts, format: 'int32' }));
}

/** An integer of 64 bits; TypeScript holds it exactly up to 2^53. */
export function int64(facts: Facts) {
  return z.int().meta(metadataOf({ ...facts, format: 'int64' }));
}

/** RFC 3339, as Kubernetes writes times. */
export function time(facts: Facts) {
  return z.string().meta(metadataOf({ ...facts, format: 'date-time' }));
}
