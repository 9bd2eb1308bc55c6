import { expect } from 'vitest'
import type { FailureClass } from '../src/agent/log-failures.ts'
import { failureScripts, type SimFailure } from '../src/sim/engine-failures.ts'
import type { LaunchDetail } from '../src/wire/views.ts'
import type { Plane } from './e2e/plane.ts'

/** A start that fails with a text which vLLM is known to fail with, and the class that a person is told. */
interface EngineText {
  readonly class: FailureClass
  /** Of the scripted engine. */
  readonly script: Record<string, unknown>
  /** A word of the text itself, which must be with the launch. */
  readonly evidence: string
}

const sim = (name: SimFailure): EngineText => ({
  class: name,
  script: { faults: { startFailure: name } },
  evidence: failureScripts[name].error.trim().slice(-40),
})
const said = (failure: FailureClass, text: string): EngineText => ({
  class: failure,
  script: { says: [text] },
  evidence: text.slice(-40),
})

// What one class says in other words than the simulated engine does.
const otherWords: Record<string, EngineText> = {
  'disk-full-os-error': said(
    'disk_full',
    'RuntimeError: Data processing error: CAS service error: IO Error: No space left on device (os error 28)',
  ),
  'kv-short-no-estimate': said(
    'kv_short',
    "ValueError: To serve at least one request with the model's max seq len (131072), (16.00 GiB KV cache is needed, which is larger than the available KV cache memory (0.12 GiB). Try increasing `gpu_memory_utilization` or decreasing `max_model_len` when initializing the engine.",
  ),
  'world-size': said(
    'tensor_parallel',
    'ValueError: World size (8) is larger than the number of available GPUs (1) in this node.',
  ),
  'architecture-inspected': said(
    'architecture',
    "ValueError: Model architectures ['DreamForCausalLM'] failed to be inspected. Please check the logs for more details.",
  ),
  'driver-toolchain': said(
    'driver',
    'RuntimeError: CUDA error: the provided PTX was compiled with an unsupported toolchain.',
  ),
  'no-device': said('driver', 'RuntimeError: Failed to infer device type, please set the device explicitly.'),
  'model-invalid-id': said(
    'model_not_found',
    "OSError: Invalid repository ID or local directory specified: '/opt/absent'.",
  ),
  'port-held': said(
    'port_in_use',
    'ERROR 11-26 05:00:00 [launcher.py:55] port 8000 is used by process 4711 launched with command: vllm serve',
  ),
}

/** Every text that a start of vLLM is known to fail with, by the name of the model that fails with it. */
export const engineTexts: Readonly<Record<string, EngineText>> = {
  ...Object.fromEntries(
    Object.keys(failureScripts).map((name) => [name.replaceAll('_', '-'), sim(name as SimFailure)]),
  ),
  ...otherWords,
}

/** The scripts of the models, one for each text. */
export const engineTextScripts = Object.fromEntries(
  Object.entries(engineTexts).map(([name, { script }]) => [name, script]),
)

/**
 * Launches all of them, as many at a time as the queue lets, and holds each against its class. Returns the launches, which
 * are over: each node is gone and its bill closed.
 */
export async function everyTextIsTold(
  plane: Plane,
  where: Record<string, unknown>,
  withinMs: number,
): Promise<LaunchDetail[]> {
  const names = Object.keys(engineTexts)
  const asked: [string, string][] = []
  for (const name of names) asked.push([name, (await plane.launched(name, where)).id])
  const ended: LaunchDetail[] = []
  for (const [name, id] of asked) ended.push(await plane.reaches(id, ['failed'], withinMs).catch(named(name)))
  const told = ended.map(({ model, failure, attempts }) => [model, failure?.code, attempts.length])
  expect(told).toEqual(names.map((name) => [name, engineTexts[name]?.class, 1]))
  for (const { model, failure } of ended) {
    expect(failure?.evidence, model).toContain(engineTexts[model]?.evidence)
    expect(failure?.remedy, model).toMatch(/\w{3}/)
  }
  return ended
}

const named = (name: string) => (error: unknown) => {
  throw new Error(`the engine that fails with ${name}`, { cause: error })
}
