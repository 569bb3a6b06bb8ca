import { tearDown } from './environment';

/** See jest.config.cjs. */
module.exports = () => tearDown('temporal');
