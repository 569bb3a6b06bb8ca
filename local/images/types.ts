/** An image that was built here, as an OCI image layout: a folder that crane, skopeo and buildah read. */
export interface BuiltImage {
  /** Repository and tag that the image is meant to be pushed under, without a registry: `kaito-temporal/runtime:0.1.0`. */
  readonly name: string;
  /** The OCI image layout. */
  readonly layout: string;
  /** `sha256:…` of its manifest, which a push keeps. */
  readonly digest: string;
  /** What a push sends at most, and what a node downloads. */
  readonly bytes: number;
}

/** Every image that the real node needs, but the sandbox's. */
export interface Images {
  /** `presets/runtime/Dockerfile` on a base for CPUs: serve, tune, push, pull-image, prepare-dataset on PATH; vLLM, PEFT, TRL. */
  readonly runtime: BuiltImage;
  /** Debian with bash, coreutils, curl and Python: another pod that asks the Workspace's Service, or the user's own server. */
  readonly tools: BuiltImage;
}

/** A registry that images are pushed to. */
export interface RegistryTarget {
  /** `host:port`. */
  readonly host: string;
  /** Plain HTTP. */
  readonly insecure?: boolean;
  readonly credentials?: { readonly username: string; readonly password: string };
}
