export { buildImages } from './build-images';
export { BuildError, MissingToolsError } from './host';
export { pushFolder, pushImage } from './push';
export type { BuiltImage, Images, RegistryTarget } from './types';
