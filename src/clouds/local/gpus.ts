import { execFile } from 'node:child_process'

export interface HostGpu {
  readonly index: number
  readonly name: string
  readonly memoryMib: number
}

/** The GPUs of this host as nvidia-smi lists them; none where it is absent or fails. */
export function hostGpus(): Promise<HostGpu[]> {
  const query = ['--query-gpu=index,name,memory.total', '--format=csv,noheader,nounits']
  return new Promise((resolve) => {
    execFile('nvidia-smi', query, { timeout: 5_000 }, (error, stdout) => resolve(error ? [] : parseGpus(stdout)))
  })
}

export function parseGpus(csv: string): HostGpu[] {
  return csv
    .split('\n')
    .map((line) => line.split(',').map((cell) => cell.trim()))
    .filter(([index, name, memory]) => index !== undefined && name && Number(memory) > 0)
    .map(([index, name, memory]) => ({ index: Number(index), name: name ?? '', memoryMib: Number(memory) }))
}
