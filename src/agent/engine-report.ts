import type { EngineSpec } from '../wire/agent.ts'
import type { EngineLog } from './engine-log.ts'
import type { Exit } from './engine-process.ts'
import { classifyExit } from './log-reader.ts'
import type { JsonFailure } from './node-disk.ts'

const evidenceChars = 8_000

/** Why a run ended that nobody asked to end, with the end of the log beside it. */
export function exitFailure(exit: Exit, log: EngineLog): JsonFailure {
  const found = classifyExit({ ...exit, stopAsked: false, reader: log.reader })
  const tail = log.tail(evidenceChars)
  if (found === null)
    return {
      code: 'engine_exited',
      fault: 'node',
      retry: 'same',
      cause: 'The engine ended.',
      remedy: 'Read its log.',
      evidence: tail,
    }
  const { class: code, fault, retry, cause, remedy, evidence, suggestion } = found
  // The line that told comes first: the end of the log may no longer hold it.
  const told = { code, fault, retry, cause, remedy, evidence: clip(`${evidence}\n\n${tail}`.trim()) }
  return suggestion ? { ...told, suggestion } : told
}

const clip = (text: string): string => (text.length > evidenceChars ? text.slice(0, evidenceChars) : text)

/** A sign of ill health, not an end: the process lives and nothing was stopped. */
export function hungFailure(healthPath: string, silentMs: number): JsonFailure {
  return {
    code: 'engine_hung',
    fault: 'node',
    retry: 'same',
    cause: `The engine runs but has not answered ${healthPath} for ${Math.round(silentMs / 1000)} s.`,
    remedy: 'Wait if it may recover, or replace the node; its log and the GPU state may say why.',
  }
}

export function diskFullFailure(dir: string): JsonFailure {
  return {
    code: 'disk_full',
    fault: 'cloud',
    retry: 'elsewhere',
    cause: `The disk that holds ${dir} is full: the agent could not even record the engine that it started.`,
    remedy: 'Order a larger disk, or a smaller or quantized model.',
  }
}

export function unlistedFailure(servedName: string, names: readonly string[]): JsonFailure {
  return {
    code: 'model_not_listed',
    fault: 'policy',
    retry: 'never',
    cause: `The engine is healthy but does not serve "${servedName}"; it lists: ${names.join(', ') || 'nothing'}.`,
    remedy: "Make the engine's command serve the model under the name that was asked for.",
  }
}

/** The command's first words, for a log line: later words may be long. */
export const commandNamed = ({ argv }: EngineSpec): string => argv.slice(0, 3).join(' ')
