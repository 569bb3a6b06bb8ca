export { buildImages } from './build-images';
export { pushFolder, pushImage } from './push';
export type { BuiltImage, Images, RegistryTarget } from './types';
