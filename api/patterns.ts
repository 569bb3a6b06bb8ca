import type { Rule } from './schema';

/** Grammars of names, as regular expressions of RE2 (CEL's), and the CEL to speak of them. */

/** RFC 1123 label. */
export const DNS_LABEL = '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$';

/** RFC 1123 subdomain: names of Secrets, ConfigMaps, adapters. */
export const DNS_SUBDOMAIN = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';

/** Key of a label: an optional DNS prefix and a name. */
export const LABEL_KEY =
  '^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$';

/** Value of a label. Machine sizes become label values, so they have the same grammar, but are never empty. */
export const LABEL_VALUE = '^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$';
const SIZE = '^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$';

/** Hugging Face's owner/model. */
export const HUB_ID = '^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$';

/** A decimal from 0 to 1. */
export const UNIT_DECIMAL = '^(0([.][0-9]*)?|[.][0-9]+|1([.]0*)?)$';

/** NVIDIA's MIG profiles: 1g.10gb, 1g.10gb+me, 2g.24gb+gfx, … */
export const MIG_PROFILE = '^[1-9]g[.][1-9][0-9]*gb([+][a-z]+([.][a-z]+)?)?$';

const DOMAIN_PART = '([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const REGISTRY = `(${DOMAIN_PART}([.]${DOMAIN_PART})*|\\[[a-fA-F0-9:]+\\])(:[0-9]+)?/`;
const PATH_PART = '[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*';
/** Image reference, as docker, containerd and the OCI tools parse it. */
const IMAGE = `^(${REGISTRY})?${PATH_PART}(/${PATH_PART})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@[A-Za-z][A-Za-z0-9]*([-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$`;

/** A CEL string literal without escapes. */
export function literal(text: string): string {
  if (text.includes("'")) throw new Error(`not expressible as a raw CEL string: ${text}`);
  return text.includes('\\') ? `r'${text}'` : `'${text}'`;
}

/** A CEL list of strings. */
export function literals(texts: readonly string[]): string {
  return `[${texts.map(literal).join(', ')}]`;
}

/** The value of `self` has the grammar; else it is told, with what to do. */
export function matches(pattern: string, told: string): Rule {
  return { rule: `self.matches(${literal(pattern)})`, messageExpression: `'"' + self + '" ${told}'` };
}

/** The field cannot change after creation. */
export const immutable = {
  rule: 'self == oldSelf',
  message: 'is immutable: delete the Workspace and create it anew with the new value',
  reason: 'FieldValueForbidden',
} as const satisfies Rule;

export const isObjectName = (kind: 'Secret' | 'ConfigMap' | 'Workspace'): Rule =>
  matches(
    DNS_SUBDOMAIN,
    `is not a name that a ${kind} can have (lower-case letters, digits, "-" and "."): set the name of a ${kind} in the namespace of the Workspace`,
  );

export const isImage: Rule = matches(
  IMAGE,
  'is not an image reference: write registry/repository:tag with the repository in lower case, for example myregistry.azurecr.io/my-adapter:0.0.1',
);

export const isNodeName: Rule = matches(
  DNS_SUBDOMAIN,
  'cannot be the name of a node (lower-case letters, digits, "-" and "."): write the names that kubectl get nodes shows',
);

export const isSize: Rule = matches(
  SIZE,
  'is not a machine size: write the name that the cloud gives to the size, for example Standard_NC24ads_A100_v4, or leave the field out to use own nodes',
);
