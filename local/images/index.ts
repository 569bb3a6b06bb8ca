export { buildImages } from './build-images';
export { buildProductImages, type ProductImages } from './product-images';
export { pushFolder, pushImage } from './push';
export type { BuiltImage, Images, RegistryTarget } from './types';
