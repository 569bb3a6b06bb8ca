/** `npm run test:chart`: the Helm chart, with helm and a control plane of its own; pods are simulated. */
const { project, common } = require('./jest.project.cjs');

module.exports = { ...common, projects: [project('chart', ['chart'])], testTimeout: 120_000 };
