export { workspace } from './workspace';
