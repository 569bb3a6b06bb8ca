#!/usr/bin/env node
/**
 * Runs a TypeScript entry of this repository from a bare clone: `node local/bootstrap.cjs <entry.ts> [arguments]`.
 *
 * Needs nothing but Node 18 or newer. Installs the packages when they are missing or differ from package-lock.json, then runs
 * the entry on the pinned Node 24 with tsx. Signals and the exit code pass through.
 */
'use strict';

const { spawn, spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const root = path.dirname(__dirname);
const modules = path.join(root, 'node_modules');
const stamp = path.join(modules, '.installed-from');
const lockFile = path.join(root, '.npm-ci.lock');
const OLDEST_NODE = [24, 9];

function main() {
  const [entry, ...args] = process.argv.slice(2);
  if (entry === undefined) fail('usage: node local/bootstrap.cjs <entry.ts> [arguments]');
  if (!isInstalled()) install();
  run(pinnedNode(), [
    '--import',
    pathToFileURL(path.join(modules, 'tsx', 'dist', 'loader.mjs')).href,
    path.resolve(root, entry),
    ...args,
  ]);
}

/** What the packages should be: the lock file, for this platform. */
function wanted() {
  const lock = fs.readFileSync(path.join(root, 'package-lock.json'));
  return `${createHash('sha256').update(lock).digest('hex')} ${process.platform}-${process.arch}\n`;
}

function isInstalled() {
  if (readOr(stamp, '') === wanted()) return true;
  if (!sameVersionsAsLock()) return false;
  fs.writeFileSync(stamp, wanted());
  return true;
}

/** True after somebody's own `npm install`: then what npm noted in node_modules already agrees with the lock file. */
function sameVersionsAsLock() {
  const noted = readOr(path.join(modules, '.package-lock.json'), undefined);
  if (noted === undefined) return false;
  const installed = JSON.parse(noted).packages;
  const locked = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(locked).every(([at, { version, optional, link }]) => {
    if (at === '' || link) return true;
    const found = installed[at];
    return found === undefined ? optional === true : found.version === version && fs.existsSync(path.join(root, at));
  });
}

function install() {
  withLock(() => {
    if (isInstalled()) return; // another process did it while this one waited
    say('installing packages (npm ci), once per change of package-lock.json');
    const npmCli = process.env.npm_execpath;
    const [command, before] =
      npmCli !== undefined && path.basename(npmCli) === 'npm-cli.js' ? [process.execPath, [npmCli]] : ['npm', []];
    const result = spawnSync(
      command,
      [...before, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
      {
        cwd: root,
        stdio: ['ignore', 2, 2], // progress is no output of the entry
      },
    );
    if (result.error) fail(`npm cannot be started: ${result.error.message}`);
    if (result.status !== 0) fail(`npm ci ended with ${result.status ?? result.signal}; its message is above`);
    fs.writeFileSync(stamp, wanted());
  });
}

/** One `npm ci` at a time: two would delete each other's node_modules. */
function withLock(work) {
  let told = false;
  for (;;) {
    try {
      fs.writeFileSync(lockFile, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      const holder = Number(readOr(lockFile, '0'));
      if (holder > 0 && !isAlive(holder)) fs.rmSync(lockFile, { force: true });
      else if (!told) say(`waiting for process ${holder || '?'}, which installs the packages`);
      told = true;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  }
  const release = () => fs.rmSync(lockFile, { force: true });
  process.once('exit', release);
  try {
    work();
  } finally {
    release();
    process.off('exit', release);
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function pinnedNode() {
  const shipped = path.join(modules, `node-${process.platform}-${process.arch}`, 'bin', 'node');
  if (fs.existsSync(shipped)) return shipped;
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return process.execPath;
  return fail(
    `this needs Node ${OLDEST_NODE.join('.')} or newer and runs on ${process.version}. On Linux (x64, arm64) the packages bring it; ` +
      `for ${process.platform}-${process.arch} install Node 24 LTS and try again.`,
  );
}

function run(node, args) {
  const child = spawn(node, args, { stdio: 'inherit' });
  child.on('error', (error) => fail(`${node} cannot be started: ${error.message}`));
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT']) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the child too; a second one would read as impatience.
      const fromTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT');
      if (!fromTerminal) child.kill(signal);
    });
  }
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function readOr(file, otherwise) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return otherwise;
  }
}

function say(message) {
  process.stderr.write(`${message}\n`);
}

function fail(message) {
  say(message);
  process.exit(1);
}

main();
