import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { filesBelow, keyOf } from '../../../../local/images/key';

describe('the key of what goes into an image', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'key-'));
    await mkdir(path.join(folder, 'src', '__pycache__'), { recursive: true });
    await writeFile(path.join(folder, 'src', 'main.py'), 'print(1)');
    await writeFile(path.join(folder, 'src', '__pycache__', 'main.pyc'), 'made from it');
  });

  afterEach(() => rm(folder, { recursive: true }));

  const key = async (texts: readonly string[] = ['1']): Promise<string> =>
    keyOf({ texts, root: folder, files: await filesBelow(path.join(folder, 'src')) });

  it('stays when a file is only touched or a tool leaves something behind', async () => {
    const before = await key();
    await utimes(path.join(folder, 'src', 'main.py'), 1, 1);
    await writeFile(path.join(folder, 'src', '__pycache__', 'other.pyc'), 'more');
    expect(await key()).toBe(before);
  });

  it('changes with a content, a place, and a text', async () => {
    const keys = [await key(), await key(['2'])];
    await writeFile(path.join(folder, 'src', 'main.py'), 'print(2)');
    keys.push(await key());
    await mkdir(path.join(folder, 'src', 'package'));
    await writeFile(path.join(folder, 'src', 'package', 'main.py'), 'print(2)');
    await rm(path.join(folder, 'src', 'main.py'));
    keys.push(await key());
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('has no files of a folder that is not there', async () => {
    expect(await filesBelow(path.join(folder, 'nowhere'))).toEqual([]);
  });
});
