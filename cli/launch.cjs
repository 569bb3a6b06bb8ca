#!/usr/bin/env node
/**
 * The command `kaito`, `kubectl kaito` by the name kubectl-kaito, and its completion by the name kubectl_complete-kaito: starts kaito.ts on Node 24.
 * From a bare clone the packages are installed first.
 */
'use strict';

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const module_ = require('node:module');
const path = require('node:path');

const OLDEST_NODE = [24, 9];
const packages = path.join(path.dirname(__dirname), 'node_modules');

const COMPLETION = 'kubectl_complete-kaito';
const invokedAs = path.basename(process.argv[1] ?? '');
if (invokedAs.startsWith('kubectl-')) process.env.KAITO_INVOKED_AS = 'kubectl kaito';
if (invokedAs === COMPLETION) process.env.KAITO_INVOKED_AS = COMPLETION;

const shipped = path.join(packages, `node-${process.platform}-${process.arch}`, 'bin', 'node');
if (!fs.existsSync(path.join(packages, 'tsx')) && process.env.KAITO_INVOKED_AS === COMPLETION) {
  // Nothing is installed because somebody pressed Tab; 1 tells kubectl that there is no answer.
  process.stdout.write(':1\n');
} else if (!fs.existsSync(path.join(packages, 'tsx'))) {
  process.argv.splice(2, 0, 'cli/kaito.ts');
  require('../local/bootstrap.cjs');
} else if (isRecent()) {
  // Compiled code is kept between runs: a command starts in about a second.
  module_.enableCompileCache();
  require('tsx/cjs');
  void require('./kaito.ts').run();
} else if (fs.existsSync(shipped)) {
  const { status, signal } = spawnSync(shipped, [__filename, ...process.argv.slice(2)], { stdio: 'inherit' });
  process.exitCode = status ?? (signal === 'SIGINT' ? 130 : 1);
} else {
  process.stderr.write(`kaito needs Node ${OLDEST_NODE.join('.')} or newer and runs on ${process.version}\n`);
  process.exitCode = 1;
}

function isRecent() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
}
