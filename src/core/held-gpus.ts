// How a machine of the operator's own host is told of the GPUs that it holds, and keeps them for as long as it lives.

/** Of a machine's processes: the UUIDs of its GPUs, with commas. */
export const heldGpusVariable = 'FLIGHTDECK_GPUS'

/** Whoever has this descriptor, or one of those after it, keeps a GPU: one for each. The loop uses smaller ones itself. */
export const firstHeldGpuFd = 10

export const heldGpus = (env: Readonly<Record<string, string | undefined>>): string[] =>
  (env[heldGpusVariable] ?? '').split(',').filter(Boolean)
