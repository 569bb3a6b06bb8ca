/** `npm run test:real`: real containers on a real node (docs/real-node.md). Needs Linux and root; the first run builds images. */
const { project, common } = require('./jest.project.cjs');

module.exports = { ...common, projects: [project('real', ['real'])], testTimeout: 600_000 };
