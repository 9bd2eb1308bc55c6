import { execFileSync } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type PutProgram, programAt } from '../bare-path.ts'

/** The one of this host, which has to be there. */
export const putRealOne: PutProgram = (bin, name) => {
  const program = name === 'python3' ? realPython() : programAt(name)
  if (program === null) throw new Error(`${name} is not on this machine.`)
  symlinkSync(program, join(bin, name))
}

/** What is on the PATH under that name may be a script that looks for the real one. */
const realPython = (): string =>
  execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim()
