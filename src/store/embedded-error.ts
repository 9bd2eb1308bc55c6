import { codeOf } from '../lib/error-code.ts'

export type EmbeddedErrorCode =
  | 'bad_url'
  | 'data_folder'
  | 'no_binaries'
  | 'owned'
  | 'socket_folder'
  | 'start_failed'
  | 'wrong_owner'
  | 'wrong_version'

/** Why the database of this install cannot be used. `remedy` is one sentence that an operator can follow. */
export class EmbeddedError extends Error {
  override readonly name = 'EmbeddedError'
  readonly code: EmbeddedErrorCode
  readonly remedy: string

  constructor(code: EmbeddedErrorCode, message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.remedy = remedy
  }
}

/** Runs a step on the file system; tells the errors that were expected from those that were not. */
export function unless<T>(codes: string[], step: () => T): T | undefined {
  try {
    return step()
  } catch (error) {
    if (codes.includes(codeOf(error))) return undefined
    throw error
  }
}

/** Runs a step on what we made ourselves: a refusal of the file system is told as one of the data folder. */
export function inDataFolder<T>(step: () => T): T {
  try {
    return step()
  } catch (error) {
    const code = codeOf(error)
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'ENOTDIR'].includes(code)) throw error
    const remedy = 'Run as the user who made the data folder, or free space there, or choose another one with --data.'
    throw new EmbeddedError('data_folder', `The data folder cannot be used: ${String(error)}`, remedy, error)
  }
}
