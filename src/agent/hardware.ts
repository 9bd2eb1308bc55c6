import { execFile } from 'node:child_process'
import { availableParallelism, hostname, totalmem } from 'node:os'
import type { Gpu, Hardware } from '../wire/agent.ts'

const query = 'index,name,memory.total,utilization.gpu,memory.used,temperature.gpu'

/** The GPUs that the engine may use; none where there is no nvidia-smi, or where it does not answer in 5 s. */
export function readGpus(env: NodeJS.ProcessEnv): Promise<Gpu[]> {
  return new Promise((resolve) => {
    const args = [`--query-gpu=${query}`, '--format=csv,noheader,nounits']
    execFile('nvidia-smi', args, { timeout: 5_000, killSignal: 'SIGKILL', env }, (error, stdout) => {
      resolve(error ? [] : visibleGpus(parseGpus(stdout), env['CUDA_VISIBLE_DEVICES']))
    })
  })
}

/** Lines of nvidia-smi's CSV. A figure that the driver does not have reads `[N/A]` and becomes null. */
export function parseGpus(csv: string): Gpu[] {
  return csv.split('\n').flatMap((line) => {
    const [index, name, memoryMib, used, memoryUsed, temperature] = line.split(',').map((field) => field.trim())
    if (!name || !Number.isInteger(Number(index))) return []
    return {
      index: Number(index),
      name: name.slice(0, 128),
      memoryMib: figure(memoryMib) ?? 0,
      utilizationPercent: figure(used),
      memoryUsedMib: figure(memoryUsed),
      temperatureC: figure(temperature),
    }
  })
}

function figure(text: string | undefined): number | null {
  const value = Number(text)
  return text && Number.isFinite(value) ? value : null
}

/** CUDA's own rule: the list ends at the first entry that is no device. UUIDs cannot be told apart here: all count. */
export function visibleGpus(gpus: Gpu[], visible: string | undefined): Gpu[] {
  if (visible === undefined || /GPU-|MIG-/.test(visible)) return gpus
  const wanted: Gpu[] = []
  for (const word of visible.split(',')) {
    const gpu = /^\s*\d+\s*$/.test(word) ? gpus.find(({ index }) => index === Number(word)) : undefined
    if (!gpu) break
    wanted.push(gpu)
  }
  return wanted
}

export async function readHardware(env: NodeJS.ProcessEnv): Promise<Hardware> {
  return {
    hostname: hostname().slice(0, 255),
    cpus: availableParallelism(),
    memoryMib: Math.floor(totalmem() / 1024 / 1024),
    gpus: await readGpus(env),
    instanceType: null,
  }
}
