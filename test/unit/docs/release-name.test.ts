import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from '../../../local/defaults';

/** Commands of the pages are for the release that docs/install.md installs: who copies them meets no other name. */
const RELEASE = 'kaito';
const NAMES = [
  /\bhelm (?:install|upgrade --install|upgrade|rollback) ([a-z][a-z0-9-]*) /g,
  /\b(?:deployment|job|service|statefulset)[/ ]([a-z0-9-]+)-(?:worker|bridge|promotion|temporal)\b/g,
  /\bdeployment (?:[a-z0-9-]+-worker )([a-z0-9-]+)-bridge\b/g,
  /\bserviceaccount:kaito-system:([a-z0-9-]+)-(?:worker|bridge)\b/g,
];

const pages = [
  'README.md',
  ...readdirSync(path.join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => path.join('docs', name)),
];

function namesOf(page: string): readonly string[] {
  const text = readFileSync(path.join(ROOT, page), 'utf8');
  return NAMES.flatMap((pattern) => [...text.matchAll(pattern)].map(([, name = '']) => name));
}

it('pages call the release by one name', () => {
  const named = pages
    .map((page) => [page, [...new Set(namesOf(page))]] as const)
    .filter(([, names]) => names.length > 0);

  expect(named.map(([page]) => page)).toEqual(expect.arrayContaining(['docs/install.md', 'docs/runbooks.md']));
  expect(named).toEqual(named.map(([page]) => [page, [RELEASE]]));
});
