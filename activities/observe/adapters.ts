import type { Workspace } from '../../api/workspace';

/** The image that a tuning Workspace pushed, by digest; undefined until it has pushed what its spec asks for. */
export function pushedImage({ tuning, status }: Workspace): string | undefined {
  const { image, digest } = status?.tuning ?? {};
  if (image === undefined || digest === undefined || image !== tuning?.output.image) return undefined;
  const lastSegment = image.lastIndexOf('/');
  const tag = image.indexOf(':', lastSegment);
  return `${tag === -1 ? image : image.slice(0, tag)}@${digest}`;
}
