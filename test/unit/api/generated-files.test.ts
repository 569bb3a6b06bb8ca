import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generatedFiles } from '../../../api/generated-files';

test('every generated file is as npm run generate makes it', async () => {
  for (const { path, content } of await generatedFiles()) {
    expect({ path, content: readFileSync(join(__dirname, '../../..', path), 'utf8') }).toEqual({ path, content });
  }
});
