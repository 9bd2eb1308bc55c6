import { execFile } from 'node:child_process'

export interface HostGpu {
  /** Its place in the order of the PCI bus. */
  readonly index: number
  readonly uuid: string
  readonly name: string
  readonly memoryMib: number
}

/** GPUs that are as good as each other. */
export interface GpuKind {
  readonly name: string
  readonly vramGib: number
  readonly gpus: readonly HostGpu[]
}

/** The GPUs of this host as nvidia-smi lists them; none where it is absent or fails. */
export function hostGpus(): Promise<HostGpu[]> {
  const query = ['--query-gpu=index,uuid,name,memory.total', '--format=csv,noheader,nounits']
  return new Promise((resolve) => {
    execFile('nvidia-smi', query, { timeout: 5_000 }, (error, stdout) => resolve(error ? [] : parseGpus(stdout)))
  })
}

/** One that has no UUID cannot be given out: nobody could tell who holds it. */
export function parseGpus(csv: string): HostGpu[] {
  return csv
    .split('\n')
    .map((line) => line.split(',').map((cell) => cell.trim()))
    .filter(([, uuid, name, memory]) => uuid?.startsWith('GPU-') && name && Number(memory) > 0)
    .map(([index, uuid = '', name = '', memory]) => ({ index: Number(index), uuid, name, memoryMib: Number(memory) }))
}

/** In the order of their first GPU. */
export function gpuKinds(gpus: readonly HostGpu[]): GpuKind[] {
  const kinds = Map.groupBy(gpus, ({ name, memoryMib }) => `${name}/${memoryGib(memoryMib)}`)
  return [...kinds.values()].flatMap((same) =>
    same[0] ? [{ name: same[0].name, vramGib: memoryGib(same[0].memoryMib), gpus: same }] : [],
  )
}

const memoryGib = (mib: number): number => Math.floor(mib / 1024)
