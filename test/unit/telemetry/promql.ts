/** A selector of an expression: which metric it names, and which labels it asks for. */
export interface Selector {
  readonly metric: string;
  readonly labels: readonly string[];
}

const WORDS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'by', 'without', 'on', 'ignoring']);

/** The selectors of a PromQL expression, as far as the alerts and the dashboard use the language. */
export function selectorsOf(expression: string): readonly Selector[] {
  const plain = expression
    .replace(/"(?:[^"\\]|\\.)*"/g, '""')
    .replace(/\[[^\]]*\]/g, '')
    .replace(/\b(?:by|without|on|ignoring)\s*\([^)]*\)/g, '');
  const found = plain.matchAll(/([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(\s*\()?/g);
  return [...found].flatMap(([, metric = '', matchers = '', call]) =>
    call !== undefined || WORDS.has(metric)
      ? []
      : [{ metric, labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label) }],
  );
}

/** The labels that aggregations of an expression keep. */
export function groupingsOf(expression: string): readonly string[] {
  return [...expression.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(',').map((label) => label.trim()),
  );
}
