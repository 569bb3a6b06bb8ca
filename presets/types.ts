/** The vocabulary of presets; it lives in `api` because plans carry it through workflows. */
export type { Fit, GpuSize, Layout, Model, NodeGpus, UnfitCode } from '../api/model';
