import type { WorkspaceActivities } from '../api/workflow';
import type { Dependencies } from './dependencies';
import { createAcquireMachines, createProviders } from './machines/acquire-machines';
import { createPlanWorkspace } from './plan/plan-workspace';
import { createReportPause } from './machines/report-pause';
import { createReleaseWorkspace } from './release/release-workspace';
import { forgetGone } from './status/status-writer';
import { createCheckDataset } from './tuning/check-dataset';
import { createPushAdapter } from './tuning/push-adapter';
import { createReleaseTrainingMachines } from './tuning/release-training-machines';
import { createPrepareData, createTrainAdapter } from './tuning/training';
import { createApplyWorkload } from './workload/apply-workload';
import { createWaitUntilServing } from './workload/wait-until-serving';

/** The activities of the workspace workflow. */
export function createActivities(deps: Dependencies): WorkspaceActivities {
  const providers = createProviders(deps);
  // It ends with the caches.
  forgetGone(deps.status, deps.world.workspaces);
  return {
    planWorkspace: createPlanWorkspace(deps),
    acquireMachines: createAcquireMachines(deps, providers),
    applyWorkload: createApplyWorkload(deps),
    waitUntilServing: createWaitUntilServing(deps),
    releaseWorkspace: createReleaseWorkspace(deps, providers),
    reportPause: createReportPause(deps),
    checkDataset: createCheckDataset(deps),
    prepareData: createPrepareData(deps),
    trainAdapter: createTrainAdapter(deps),
    pushAdapter: createPushAdapter(deps),
    releaseTrainingMachines: createReleaseTrainingMachines(deps, providers),
  };
}
