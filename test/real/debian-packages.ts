import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { programAt } from '../bare-path.ts'

const quiet = { stdio: ['ignore', 'ignore', 'inherit'] as ['ignore', 'ignore', 'inherit'] }

/** Installs packages of Debian. @throws Error that names them where that cannot be done. */
export function installFromDebian(...packages: string[]): void {
  if (process.getuid?.() !== 0 || programAt('apt-get') === null)
    throw new Error(`Install ${packages.join(' and ')} first: that is needed here, and only root on Debian may do it.`)
  withLists(() => execFileSync('apt-get', ['install', '-y', '-q', ...packages], quiet))
}

/**
 * The files of a package, unpacked into a folder of our own and kept there: a daemon that it brings is not started on
 * this machine, and root is not needed.
 */
export function unpackFromDebian(name: string): string {
  const kept = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'flightdeck', 'debian', name)
  if (existsSync(kept)) return kept
  if (programAt('apt-get') === null) throw new Error(`The package ${name} is needed here, and only Debian has it.`)
  const partial = `${kept}.${process.pid}`
  mkdirSync(partial, { recursive: true })
  withLists(() => execFileSync('apt-get', ['download', '-q', name], { ...quiet, cwd: partial }))
  const [deb = ''] = readdirSync(partial)
  execFileSync('dpkg-deb', ['-x', deb, 'files'], { ...quiet, cwd: partial })
  renameSync(join(partial, 'files'), kept)
  rmSync(partial, { recursive: true })
  return kept
}

/** The lists of packages may never have been fetched on this machine. */
function withLists(act: () => void): void {
  try {
    act()
  } catch {
    execFileSync('apt-get', ['update', '-q'], quiet)
    act()
  }
}
