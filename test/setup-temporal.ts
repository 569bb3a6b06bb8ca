import { setUp } from './environment';

/** See jest.config.cjs. */
module.exports = () => setUp('temporal');
