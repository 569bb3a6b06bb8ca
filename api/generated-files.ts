import { format } from 'prettier';
import { stringify } from 'yaml';
import { workspaceCrd } from './crd';
import { workspacePolicy, workspacePolicyBinding } from './policy';
import { failuresReference, workspaceReference } from './reference';

export interface GeneratedFile {
  /** Relative to the repository. */
  readonly path: string;
  readonly content: string;
}

/** Every file that is made from the schema, with the content that it must have. */
export async function generatedFiles(): Promise<readonly GeneratedFile[]> {
  return [
    { path: 'charts/kaito-temporal/definitions/kaito.sh_workspaces.yaml', content: yaml(workspaceCrd()) },
    {
      path: 'charts/kaito-temporal/policies/kaito.sh_workspaces.yaml',
      content: yaml(workspacePolicy(), workspacePolicyBinding()),
    },
    { path: 'docs/reference/workspace.md', content: await formatMarkdown(workspaceReference()) },
    { path: 'docs/failures.md', content: await formatMarkdown(failuresReference()) },
  ];
}

function yaml(...objects: readonly object[]): string {
  const documents = objects.map((object) => stringify(object, { aliasDuplicateObjects: false, lineWidth: 0 }));
  return `# Made by npm run generate; edit api/ instead.\n${documents.join('---\n')}`;
}

/** Markdown as `prettier --check` wants it. */
export async function formatMarkdown(text: string): Promise<string> {
  return format(text, { parser: 'markdown', printWidth: 120, singleQuote: true });
}
