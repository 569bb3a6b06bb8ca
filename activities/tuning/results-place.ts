/** Where checkpoints and adapter are, for people; `claim` names the claim of ours where there is one. */
export function resultsPlace(claim: string | undefined): string {
  return claim === undefined ? 'the volume of tuning.output' : `PersistentVolumeClaim ${claim}`;
}
