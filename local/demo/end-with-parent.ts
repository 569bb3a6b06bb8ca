/**
 * Loaded before the entry of a child process: ends the child when its parent is gone, however it went. The channel between the two, made by
 * `spawn` with `ipc`, closes with the parent; until then it keeps nobody awake.
 */
process.once('disconnect', () => process.exit(1));
process.channel?.unref();
