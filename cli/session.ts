import { openCluster, type ClusterAccess } from './cluster';
import { CliError } from './failure';
import type { GlobalFlags } from './flags';
import type { Io } from './io';
import { openTemporal, type TemporalAccess } from './temporal';

/**
 * What commands share: where they write, and connections that are opened when first asked for, so that what needs no Temporal (or no cluster) works
 * without.
 */
export class Session {
  #cluster: ClusterAccess | undefined;
  #temporal: Promise<TemporalAccess> | undefined;

  constructor(
    readonly io: Io,
    /** Asked when first needed: commander knows them once it has parsed. */
    readonly flags: () => GlobalFlags,
  ) {}

  cluster(): ClusterAccess {
    this.#cluster ??= openCluster(this.flags());
    return this.#cluster;
  }

  temporal(): Promise<TemporalAccess> {
    this.#temporal ??= openTemporal(this.flags(), this.io.env);
    return this.#temporal;
  }

  /** `--namespace`, else that of the context, else `default`. */
  get namespace(): string {
    const { namespace } = this.flags();
    if (namespace !== undefined) return namespace;
    try {
      return this.cluster().namespace;
    } catch (error) {
      // What asks Temporal alone needs no kubeconfig; what needs one fails with this when it asks the cluster.
      if (error instanceof CliError) return 'default';
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#cluster?.close();
    // What could not be opened has been told.
    const temporal = await this.#temporal?.catch(() => undefined);
    await temporal?.close();
  }
}
