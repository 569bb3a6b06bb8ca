import { down } from './environment';

/** See guardian.ts: waits for the end of its input, then takes down the environment in the folder that is its argument. */
const dir = process.argv[2];
if (dir === undefined) throw new Error('usage: guardian-process <folder>');
process.stdin.resume().once('end', () => {
  void down(dir);
});
